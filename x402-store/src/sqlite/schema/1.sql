-- Orders, what happened to them, and what is kept for a while. 'x402' as a number, so that the file says whose it is.
PRAGMA application_id = 0x78343032;

-- The document is the order; the other columns are for looking it up, and for what must be unique.
CREATE TABLE orders (
    -- What belongs to orders of the same time lies together: few pages change with each of them.
    number INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    payer TEXT NOT NULL,
    -- NULL too once the name of a payment that was never charged went to another one.
    payment_id TEXT,
    route TEXT NOT NULL,
    status TEXT NOT NULL,
    payment TEXT NOT NULL,
    delivery TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- When the worker is to look at it.
    due_at INTEGER,
    -- Whether its response may be out and its money has yet to move.
    owes INTEGER NOT NULL CHECK (owes IN (0, 1)),
    network TEXT,
    transaction_hash TEXT,
    log_index INTEGER,
    document TEXT NOT NULL,
    owner BLOB NOT NULL CHECK (length(owner) = 16),
    version INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX orders_by_name ON orders (payer, payment_id) WHERE payment_id IS NOT NULL;
CREATE UNIQUE INDEX orders_by_transfer ON orders (network, transaction_hash, log_index) WHERE log_index IS NOT NULL;
CREATE INDEX orders_by_time ON orders (created_at, key);
CREATE INDEX orders_by_payer ON orders (payer COLLATE NOCASE, created_at, key);
CREATE INDEX orders_unfinished ON orders (status, created_at, key) WHERE status <> 'completed';
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX orders_owing ON orders (payer) WHERE owes = 1;

CREATE TABLE transitions (
    order_number INTEGER NOT NULL REFERENCES orders (number),
    -- The order's, from then on.
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    payment TEXT NOT NULL,
    delivery TEXT NOT NULL,
    fence INTEGER NOT NULL,
    PRIMARY KEY (order_number, version)
) STRICT, WITHOUT ROWID;

-- Responses for a retry of the payment that bought them, for some minutes.
CREATE TABLE responses (
    order_number INTEGER PRIMARY KEY REFERENCES orders (number),
    expires_at INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;

CREATE INDEX responses_by_end ON responses (expires_at);

-- One row: how large they are together.
CREATE TABLE response_bytes (total INTEGER NOT NULL) STRICT;
INSERT INTO response_bytes VALUES (0);

CREATE TRIGGER responses_counted AFTER INSERT ON responses BEGIN
    UPDATE response_bytes SET total = total + length(NEW.content);
END;

CREATE TRIGGER responses_discounted AFTER DELETE ON responses BEGIN
    UPDATE response_bytes SET total = total - length(OLD.content);
END;

-- Payments of orders that owe their settlement. They hold signatures, and go with the debt.
CREATE TABLE payments (
    order_number INTEGER PRIMARY KEY REFERENCES orders (number),
    document TEXT NOT NULL
) STRICT;

-- A record is only added to, and what is final stays as it is.
CREATE TRIGGER orders_stay BEFORE DELETE ON orders BEGIN
    SELECT RAISE(ABORT, 'orders are never deleted');
END;

CREATE TRIGGER transitions_stay BEFORE DELETE ON transitions BEGIN
    SELECT RAISE(ABORT, 'transitions are never deleted');
END;

CREATE TRIGGER transitions_do_not_change BEFORE UPDATE ON transitions BEGIN
    SELECT RAISE(ABORT, 'transitions never change');
END;

CREATE TRIGGER orders_keep_what_they_are BEFORE UPDATE ON orders
WHEN OLD.payment <> 'rejected' AND (NEW.number <> OLD.number OR NEW.key <> OLD.key OR NEW.id <> OLD.id OR NEW.payer <> OLD.payer
    OR NEW.route <> OLD.route OR NEW.created_at <> OLD.created_at
    OR (NEW.payment_id IS NOT NULL AND NEW.payment_id IS NOT OLD.payment_id))
BEGIN
    SELECT RAISE(ABORT, 'an order that was not rejected keeps its name, payer, route and time');
END;

CREATE TRIGGER settlements_do_not_change BEFORE UPDATE ON orders
WHEN OLD.transaction_hash IS NOT NULL AND (NEW.network IS NOT OLD.network
    OR NEW.transaction_hash IS NOT OLD.transaction_hash OR NEW.log_index IS NOT OLD.log_index
    OR NEW.document ->> '$.settlement' IS NOT OLD.document ->> '$.settlement')
BEGIN
    SELECT RAISE(ABORT, 'a settlement never changes');
END;

CREATE TRIGGER final_states_stay BEFORE UPDATE ON orders
WHEN (OLD.payment IN ('settled', 'failed', 'expired') AND NEW.payment <> OLD.payment)
    OR (OLD.delivery = 'delivered' AND NEW.delivery <> 'delivered')
BEGIN
    SELECT RAISE(ABORT, 'a final state never changes');
END;

-- What every script of the store has in common.
--
-- KEYS, all in one hash slot: 1 due, 2 made, 3 expires, 4 owed, 5 owers; then, of one payment, 6 row, 7 response,
-- 8 payment, 9 history, 10 id; then, if it has an identifier, 11 name; then 12 the row of who has that identifier.
--
-- ARGV: 1 row, 2 version before, 3 fence, 4 order id, 5 owner, 6 time to live, 7 payment key, 8 due, 9 made, 10 payer
-- if it owes its settlement, 11 transition, 12 response, 13 its time to live, 14 payment, 15 who has the identifier,
-- 16 in which version. What is empty is not there; times to live are in milliseconds.
--
-- A row is version (20 digits), fence (20 digits), order id (32), owner (32), and the document.

local function version(row)
    return row and string.sub(row, 1, 20) or ''
end

-- In milliseconds. Asked for before anything is written.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- No settlement is owed any more.
local function acquit(key)
    local payer = redis.call('HGET', KEYS[4], key)
    if payer then
        redis.call('HDEL', KEYS[4], key)
        redis.call('ZREM', KEYS[5], payer .. ' ' .. key)
    end
end

-- Writes everything that goes with a row. Indices are written in full each time, so that none stays wrong.
local function file()
    local ttl, key = ARGV[6], ARGV[7]
    redis.call('SET', KEYS[10], key, 'PX', ttl)
    if ARGV[8] ~= '' then
        redis.call('ZADD', KEYS[1], ARGV[8], key)
    else
        redis.call('ZREM', KEYS[1], key)
    end
    redis.call('ZADD', KEYS[2], ARGV[9], key)
    redis.call('ZADD', KEYS[3], now + ttl, key)
    if ARGV[10] ~= '' then
        redis.call('HSET', KEYS[4], key, ARGV[10])
        redis.call('ZADD', KEYS[5], 0, ARGV[10] .. ' ' .. key)
        if ARGV[14] ~= '' then
            redis.call('SET', KEYS[8], ARGV[14], 'PX', ttl)
        else
            redis.call('PEXPIRE', KEYS[8], ttl)
        end
    else
        acquit(key)
        redis.call('DEL', KEYS[8])
    end
    if ARGV[11] ~= '' then
        if redis.call('RPUSH', KEYS[9], ARGV[11]) > 256 then
            redis.call('LTRIM', KEYS[9], -256, -1)
        end
    end
    redis.call('PEXPIRE', KEYS[9], ttl)
end

-- Drops what indices say of rows that have expired, at most so many of them.
local function sweep(limit)
    local over = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, limit)
    for _, key in ipairs(over) do
        redis.call('ZREM', KEYS[1], key)
        redis.call('ZREM', KEYS[2], key)
        redis.call('ZREM', KEYS[3], key)
        acquit(key)
    end
    return #over
end


-- Does once, with a key of its own, whatever the store does: a server that forbids a command says so now, and not in the
-- middle of a step. Begins with a command that needs no memory, so that a full server can be asked too.

local key = KEYS[1]
redis.call('DEL', key)
redis.call('SET', key, 1, 'PX', 1000)
redis.call('GET', key)
redis.call('PEXPIRE', key, 1000)
redis.call('DEL', key)
redis.call('ZADD', key, 1, 'x')
redis.call('ZRANGEBYSCORE', key, '-inf', 1, 'LIMIT', 0, 1)
redis.call('ZREVRANGEBYSCORE', key, 1, 0, 'WITHSCORES', 'LIMIT', 0, 1)
redis.call('ZLEXCOUNT', key, '[x', '(y')
redis.call('ZREM', key, 'x')
redis.call('HSET', key, 'x', 1)
redis.call('HGET', key, 'x')
redis.call('HLEN', key)
redis.call('HDEL', key, 'x')
redis.call('RPUSH', key, 'x')
redis.call('LTRIM', key, -256, -1)
redis.call('LRANGE', key, 0, -1)
redis.call('DEL', key)
return 1

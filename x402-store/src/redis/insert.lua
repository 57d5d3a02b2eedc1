-- A new row. Answers {0} when it is written, {1, row} when there is one, {2, key} when that payment has the identifier.

local there = redis.call('GET', KEYS[6])
if there == ARGV[1] then
    return {0} -- sent twice: the first answer was lost
end
if there and version(there) ~= ARGV[2] then
    return {1, there}
end
local holder = KEYS[11] and redis.call('GET', KEYS[11])
if holder and holder ~= ARGV[7] then
    if holder ~= ARGV[15] or version(redis.call('GET', KEYS[12])) ~= ARGV[16] then
        return {2, holder}
    end
end
-- The first write of a script is the one that is refused where memory is full.
redis.call('SET', KEYS[6], ARGV[1], 'PX', ARGV[6])
redis.call('DEL', KEYS[7])
if KEYS[11] then
    redis.call('SET', KEYS[11], ARGV[7], 'PX', ARGV[6])
end
file()
sweep(4) -- more than one, so that indices shrink while they are used
return {0}

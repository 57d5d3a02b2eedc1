-- A changed row. Answers 1 when it is written, 0 when the one there is another.

local there = redis.call('GET', KEYS[6])
if there == ARGV[1] then
    return 1 -- sent twice: the first answer was lost
end
if version(there) ~= ARGV[2] or string.sub(there, 41, 72) ~= ARGV[4] then
    return 0
end
-- After a failover versions may have been used twice: nobody overwrites who took over.
local fence = string.sub(there, 21, 40)
if fence > ARGV[3] or (fence == ARGV[3] and string.sub(there, 73, 104) ~= ARGV[5]) then
    return 0
end
-- Where memory is full a response is not kept. The row is: the first write is then one that needs none.
if ARGV[12] ~= '' then
    redis.pcall('SET', KEYS[7], ARGV[12], 'PX', ARGV[13])
end
redis.call('PEXPIRE', KEYS[6], ARGV[6])
redis.call('SET', KEYS[6], ARGV[1], 'PX', ARGV[6])
if KEYS[11] and redis.call('GET', KEYS[11]) == ARGV[7] then
    redis.call('PEXPIRE', KEYS[11], ARGV[6])
end
file()
return 1

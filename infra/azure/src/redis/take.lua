-- Takes from one token bucket, all or nothing; answers whether it did, and the level after.
-- KEYS: the bucket. ARGV: capacity, units a millisecond, units wanted, milliseconds since 1970 or '' for the server's.
local capacity, rate, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local kept = redis.call('HMGET', KEYS[1], 'level', 'capacity', 'rate', 'at')
local level = capacity
if kept[1] then
  -- What came back since was earned at the rate of before. A clock that went back gives nothing.
  local earned = math.max(now - tonumber(kept[4]), 0) * tonumber(kept[3])
  level = math.min(tonumber(kept[1]) + earned, tonumber(kept[2]), capacity)
end
local taken = 0
if wanted <= level then
  level = level - wanted
  taken = 1
end
redis.call('HSET', KEYS[1], 'level', level, 'capacity', capacity, 'rate', rate, 'at', now)
-- A rested bucket is like one that was never seen. The minute more allows for clocks that are set.
redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - level) / rate) + 60000)
return {taken, level}

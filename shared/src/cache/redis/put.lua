-- KEYS: the answer. ARGV: its age in ms, how long it is fresh in ms, its version, its validator, its
-- body, and its lifetime in ms.
-- A stored answer of a later version stays. Any other value is replaced.
local held = redis.pcall('GETRANGE', KEYS[1], 0, 127)
local version = type(held) == 'string' and string.match(held, '^%d+ %d+ (%d+) %S+\n')
if version and tonumber(version) > tonumber(ARGV[3]) then
  return 0
end
local now = redis.call('TIME')
local true_at = now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[1]
local header = string.format('%.0f %s %s %s\n', true_at, ARGV[2], ARGV[3], ARGV[4])
local kept = redis.pcall('SET', KEYS[1], header .. ARGV[5], 'PX', ARGV[6])
if kept.err then
  -- Redis is full, and the stored value is outdated.
  redis.pcall('DEL', KEYS[1])
  return kept
end
return 1

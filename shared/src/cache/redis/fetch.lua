-- KEYS: the answer and, if it is a page, the generation. ARGV: validators that the caller knows.
-- Returns the generation (0 for a run) and, on a hit, the answer's age in ms, how long it is fresh
-- in ms, its version, its validator, and its body (nothing if the caller knows it).
-- GETEX is GET, but counts as a write. A replica, which may have missed a write, rejects it.
local generation = '0'
if KEYS[2] then
  generation = redis.pcall('GETEX', KEYS[2])
  if type(generation) ~= 'string' or not string.find(generation, '^%d+$')
      or tonumber(generation) >= 9000000000000000 then
    -- The generation was never set, or is lost. Begin one.
    local now = redis.call('TIME')
    generation = string.format('%.0f', now[1] * 1000000 + now[2])
    redis.call('SET', KEYS[2], generation)
  end
end
local miss = {generation, false, false, false, false, false}
local value = redis.pcall('GETEX', KEYS[1])
if type(value) == 'table' and value.err and not string.find(value.err, '^WRONGTYPE') then
  return value
end
if type(value) ~= 'string' then
  return miss
end
local true_at, fresh_for, version, validator, body_at =
  string.match(value, '^(%d+) (%d+) (%d+) (%S+)\n()')
if not true_at then
  return miss
end
local now = redis.call('TIME')
local age = now[1] * 1000 + math.floor(now[2] / 1000) - true_at
for _, known in ipairs(ARGV) do
  if known == validator then
    return {generation, age, fresh_for, version, validator, false}
  end
end
return {generation, age, fresh_for, version, validator, string.sub(value, body_at)}

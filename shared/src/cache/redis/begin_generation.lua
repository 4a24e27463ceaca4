-- KEYS: the generation.
-- A generation is never lower than the clock in microseconds, so it is new even if the key was
-- lost. It grows with every call.
local now = redis.call('TIME')
local generation = now[1] * 1000000 + now[2]
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' and string.find(held, '^%d+$') then
  local next = tonumber(held) + 1
  -- Above this, doubles skip numbers, so this script did not write the value.
  if next > generation and next < 9000000000000000 then
    generation = next
  end
end
local begun = redis.pcall('SET', KEYS[1], string.format('%.0f', generation))
if begun.err then
  -- Redis is full. The next look-up begins a generation.
  redis.pcall('DEL', KEYS[1])
  return begun
end
return 1

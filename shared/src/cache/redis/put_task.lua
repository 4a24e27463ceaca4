-- KEYS: the task. ARGV: revision, bytes, lifetime in ms.
-- A stored value with a higher revision stays. Any other value is replaced.
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' then
  local is_json, task = pcall(cjson.decode, held)
  if is_json and type(task) == 'table' and type(task.revision) == 'number'
      and task.revision > tonumber(ARGV[1]) then
    return 0
  end
end
local kept = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if kept.err then
  -- Redis is full, and the stored value is outdated.
  redis.pcall('DEL', KEYS[1])
  return kept
end
return 1

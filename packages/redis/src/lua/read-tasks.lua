-- Everything that is stored of tasks of one queue, at one moment. Uses record.lua.
-- Arguments: ids.
-- Result: the time; then per id an empty text if it is not there, else a list: content, run (empty if there is none),
--   output, progress, checkpoint, errors, log (each empty, or with a leading 1).
-- Cost: O(1) per id, and what it reads.
local reply = { now13 }
local letters = { 'o', 'g', 'k', 'e', 'l' }
for at = 1, #ARGV do
  local id = ARGV[at]
  local content = call('HGET', TASK, id)
  if not content then
    reply[at + 1] = ''
  else
    local run = wholeRun(call('HGET', RUN, id) or '')
    local parts = { content, run }
    for number, letter in ipairs(letters) do
      local mark = sub(run, 87 + number, 87 + number)
      parts[number + 2] = mark == '1' and '1' .. (call('HGET', MORE, letter .. id) or '') or ''
    end
    reply[at + 1] = parts
  end
end
return reply

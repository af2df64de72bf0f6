-- Keeps what holders report of their running tasks. Uses record.lua, held.lua and place.lua.
-- Arguments: 1 session; 2 most log lines; then per report five: id; attempt (10) fence (13) and 1 if it has begun;
--   progress and checkpoint, each with a leading 1 if there is one; log lines, or an empty text.
-- Result: an outcome per report: a applied, s stale.
-- Cost: O(1) per report, and what it writes.
local session, most = ARGV[1], tonumber(ARGV[2])
local total = (#ARGV - 2) / 5
local outcomes = {}
for number = 1, total do
  local at = number * 5 - 2
  local id, code = ARGV[at], ARGV[at + 1]
  local text = call('HGET', RUN, id)
  outcomes[number] = 's'
  if text and sub(text, 1, 1) == 'r' and sub(text, 5, 43) == sub(code, 1, 23) .. session then
    outcomes[number] = 'a'
    local run = readRun(text)
    if sub(code, 24) == '1' then
      run.begun = '1'
    end
    if ARGV[at + 2] ~= '' then
      keep(id, run, 'progress', sub(ARGV[at + 2], 2))
    end
    if ARGV[at + 3] ~= '' then
      keep(id, run, 'checkpoint', sub(ARGV[at + 3], 2))
    end
    if ARGV[at + 4] ~= '' then
      appendLines(id, run, 'log', ARGV[at + 4], most)
    end
    save(id, run)
  end
end
return table.concat(outcomes)

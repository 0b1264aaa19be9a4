"""The ledger's transitions, one Lua script each: a crash falls before one or after it, never inside.

The clock is Redis' own, so that hosts whose clocks differ agree on when a lease ends. In all scripts KEYS[1]
is a mention's record, KEYS[2] the open mentions, scored by when somebody has to look after them, and
KEYS[3] how many mentions ended how. ARGV[1] is the mention's key.
"""

_NOW = """
local function now()
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end
"""

# What is over keeps its outcome; a failed mention that nobody was told of can be retried, and what was never
# new keeps what it is to be told. Redis keeps a hash that ever held a long value in three times the room of a
# short one: it is written anew. The author's index stays as long as the last record in it. Half a minute
# after the answer somebody looks whether the mention still stands (deletions.py).
_CLOSE = """
local function close(state, retention)
  redis.call('HSET', KEYS[1], 'state', state, state, now())
  redis.call('HDEL', KEYS[1], 'lease', 'deadline', 'ends')
  if state ~= 'failed' or redis.call('HEXISTS', KEYS[1], 'reply_id') == 1 then
    redis.call('HDEL', KEYS[1], 'mention', 'verdict')
  elseif redis.call('HEXISTS', KEYS[1], 'new') == 1 then
    redis.call('HDEL', KEYS[1], 'verdict')
  end
  local kept = redis.call('HGETALL', KEYS[1])
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], unpack(kept))
  redis.call('EXPIRE', KEYS[1], retention)
  local author = string.gsub(KEYS[2], 'open$', 'author:') .. redis.call('HGET', KEYS[1], 'author')
  redis.call('SADD', author, ARGV[1])
  redis.call('EXPIRE', author, retention)
  if redis.call('HEXISTS', KEYS[1], 'reply_id') == 1 then
    local answered = string.gsub(KEYS[2], 'open$', 'answered:') .. string.match(ARGV[1], '^[^:]+')
    redis.call('ZADD', answered, now() + 30, ARGV[1])
    redis.call('ZREMRANGEBYRANK', answered, 10000, -1) redis.call('EXPIRE', answered, retention)
  end
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HINCRBY', KEYS[3], state, 1)
end
"""

# Quotas are windows that slide: sorted sets of the mentions that were let in, by when they came.
_QUOTAS = """
local function used_up(limits, time)
  for _, limit in ipairs(limits) do
    redis.call('ZREMRANGEBYSCORE', limit.name, '-inf', time - limit.seconds)
    if redis.call('ZCARD', limit.name) >= limit.most then return limit end
  end
end
local function use(limit, key, time)
  redis.call('ZADD', limit.name, time, key)
  redis.call('EXPIRE', limit.name, limit.seconds)
end
local function is_first_over(limit)
  return limit.excess ~= '' and redis.call('SET', limit.name .. ':told', 1, 'NX', 'EX', limit.seconds)
end
"""

# Why a fresh mention is not judged, and what it gets in place of that; '' and '' if it is, and no words if it
# is skipped. Whoever is told that it is enough uses the quotas of thread and bot, but no more of their own.
_ADMIT = """
local function admit(mention, time)
  local stopped = redis.call('SISMEMBER', KEYS[5], mention.author) == 1
  local command = mention.command
  if command == 'stop' then redis.call('SADD', KEYS[5], mention.author) end
  if command == 'start' then redis.call('SREM', KEYS[5], mention.author) end
  if mention.skip ~= '' then return mention.skip, '' end
  if stopped and command ~= 'start' and command ~= 'delete' then return 'author said stop', '' end
  local over = used_up(mention.limits, time)
  local words = mention.verdict
  if over then words = is_first_over(over) and over.excess or '' end
  if over and words == '' then return over.reason, '' end
  for _, limit in ipairs(mention.limits) do
    if not over or limit.excess == '' then use(limit, mention.key, time) end
  end
  return over and over.reason or '', words
end
"""

# Mentions and the network's cursor in one step: what the cursor has passed is in the ledger. What is decided
# here is so only for mentions that are not in it yet, however often one is seen.
# KEYS: -, open, counts, cursor, authors who said stop.
# ARGV: cursor or '', grace, promise, retention, then a JSON object for each mention (ledger.py).
# Returns key, queue, reason for each fresh mention.
INGEST = (
    _NOW
    + _QUOTAS
    + _ADMIT
    + """
local fresh = {}
for i = 5, #ARGV do
  local mention = cjson.decode(ARGV[i])
  local record, queue = mention.record, ''
  if redis.call('EXISTS', record) == 0 then
    local time = now()
    local reason, words = admit(mention, time)
    redis.call('HSET', record, 'author', mention.author)
    if reason ~= '' then redis.call('HSET', record, 'reason', reason) end
    if reason ~= '' and words == '' then
      redis.call('HSET', record, 'state', 'skipped', 'skipped', time)
      redis.call('EXPIRE', record, ARGV[4])
      redis.call('HINCRBY', KEYS[3], 'skipped', 1)
    else
      local state = words == '' and 'new' or 'ready'
      queue = words == '' and 'photos' or 'replies'
      redis.call('HSET', record, 'state', state, state, time, 'deadline', time + ARGV[3],
                 'mention', mention.mention)
      if words ~= '' then redis.call('HSET', record, 'verdict', words) end
      redis.call('ZADD', KEYS[2], time + ARGV[2], mention.key)
    end
    redis.call('SADD', mention.index, mention.key)
    redis.call('EXPIRE', mention.index, ARGV[4])
    fresh[#fresh + 1] = {mention.key, queue, reason}
  end
end
if ARGV[1] ~= '' then redis.call('SET', KEYS[4], ARGV[1]) end
return fresh
"""
)

# Take a mention on, under a new token. ARGV: key, state to enter, lease, then the states to leave from.
# The record as it was before comes back, so that its holder knows what may have happened already.
CLAIM = (
    _NOW
    + """
local state = redis.call('HGET', KEYS[1], 'state')
local fits = false
for i = 4, #ARGV do fits = fits or ARGV[i] == state end
local lease = tonumber(redis.call('HGET', KEYS[1], 'lease') or 0)
if not fits or lease > now() then return false end
local before = redis.call('HGETALL', KEYS[1])
local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
local tries = redis.call('HINCRBY', KEYS[1], 'tries_' .. ARGV[2], 1)
local time = now()
redis.call('HSET', KEYS[1], 'state', ARGV[2], ARGV[2], time, 'lease', time + ARGV[3])
redis.call('ZADD', KEYS[2], time + ARGV[3], ARGV[1])
return {token, tries, before}
"""
)

# ARGV: key, token, lease.
RENEW = (
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'lease') == 0 then return 0 end
local until_ = now() + ARGV[3]
redis.call('HSET', KEYS[1], 'lease', until_)
redis.call('ZADD', KEYS[2], until_, ARGV[1])
return 1
"""
)

# The holder of the token is done with its step. ARGV: key, token ('' turns fencing off), state to leave,
# state to enter, 'open' and seconds until somebody has to look, or 'close' and retention, then fields.
SETTLE = (
    _NOW
    + _CLOSE
    + """
if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[1], 'state') ~= ARGV[3] then return 0 end
if #ARGV > 6 then redis.call('HSET', KEYS[1], unpack(ARGV, 7)) end
if ARGV[5] == 'close' then
  close(ARGV[4], ARGV[6])
else
  redis.call('HDEL', KEYS[1], 'lease')
  if ARGV[3] ~= ARGV[4] then redis.call('HSET', KEYS[1], 'state', ARGV[4], ARGV[4], now()) end
  redis.call('ZADD', KEYS[2], now() + ARGV[6], ARGV[1])
end
return 1
"""
)

# Look after a mention that is overdue: void its token, and say which queue it belongs in ('' for none).
# ARGV: key, grace, tries a judge gets, apology or '' for silence when late, apology, retention, and the
# queue in which a job for it still waits, or ''.
RESCUE = (
    _NOW
    + _CLOSE
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then redis.call('ZREM', KEYS[2], ARGV[1]) return '' end
local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not due or tonumber(due) > now() then return '' end
local function enter(next)
  redis.call('HINCRBY', KEYS[1], 'token', 1)
  redis.call('HDEL', KEYS[1], 'lease')
  if next ~= state then redis.call('HSET', KEYS[1], 'state', next, next, now()) end
  redis.call('ZADD', KEYS[2], now() + ARGV[2], ARGV[1])
end
local function unless_it_waits(queue)
  return queue == ARGV[7] and '' or queue
end
if state == 'new' or state == 'judging' then
  local late = now() > tonumber(redis.call('HGET', KEYS[1], 'deadline'))
  local tries = tonumber(redis.call('HGET', KEYS[1], 'tries_judging') or 0)
  if state == 'judging' and tries >= tonumber(ARGV[3]) then
    redis.call('HSET', KEYS[1], 'verdict', ARGV[5], 'ends', 'failed',
               'reason', 'its worker ended ' .. tries .. ' times')
    enter('ready')
    return 'replies'
  elseif late and ARGV[4] == '' then
    redis.call('HSET', KEYS[1], 'reason', 'not judged in time')
    redis.call('HINCRBY', KEYS[1], 'token', 1)
    close('expired', ARGV[6])
    return ''
  elseif late then
    redis.call('HSET', KEYS[1], 'verdict', ARGV[4], 'ends', 'expired', 'reason', 'not judged in time')
    enter('ready')
    return 'replies'
  end
  enter('new')
  return unless_it_waits('photos')
end
-- ready; or sending with an outcome that nobody knows, which the next holder of the token has to find out.
enter(state)
return unless_it_waits('replies')
"""
)

# Give a failed mention another chance, unless its author has been answered. ARGV: key, grace, promise.
# Returns the queue it belongs in, '' for none.
RETRY = (
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'state') ~= 'failed' or redis.call('HEXISTS', KEYS[1], 'mention') == 0 then
  return ''
end
redis.call('PERSIST', KEYS[1])
redis.call('HDEL', KEYS[1], 'tries_judging', 'tries_sending', 'reason')
local state = redis.call('HEXISTS', KEYS[1], 'verdict') == 1 and 'ready' or 'new'
local time = now()
redis.call('HSET', KEYS[1], 'state', state, state, time, 'deadline', time + ARGV[3])
redis.call('ZADD', KEYS[2], time + ARGV[2], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'retried', 1)
return state == 'new' and 'photos' or 'replies'
"""
)

# The reply to a mention that is over was deleted. Only a record that is still there is touched: one that has
# gone with time must not come back.
UNSAY = (
    _NOW
    + """
if redis.call('HDEL', KEYS[1], 'reply_id') == 1 then redis.call('HSET', KEYS[1], 'deleted', now()) end
"""
)

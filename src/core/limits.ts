// Every bound in one place, with its unit in its name and its reason beside it. A queue, map, buffer or timer that a peer can
// grow has its line here.
import assert from "node:assert/strict"

const KiB = 1024
const MiB = 1024 * KiB
const second = 1_000
const minute = 60 * second

export const limits = {
  // Listeners: what somebody we do not know yet can cost us.
  connections_max: 20_000, // per listener; file descriptors are the real bound
  workers_max: 32, // processes of one gateway; a PostgreSQL cancel key says in five bits whose it is
  workers_auto_max: 4, // unless the config says more: each takes memory of its own
  worker_restart_ms_max: 5 * second, // between the end of a worker and the next try to start it
  worker_config_ms_max: 10 * second, // for a worker to make ready for another config, and again to use it
  control_clients_max: 8, // at the socket in the state folder, at once
  control_question_ms_max: 5 * second, // for such a client to say what it wants
  control_reload_ms_max: 2 * minute, // for the answer: several commands of a config may be run, one after the other
  worker_answer_ms_max: second, // a worker that is asked whether it is ready
  handshaking_max: 1_000, // per listener, not yet identified
  handshaking_per_address_max: 100, // one address cannot take the whole of it; Ansible opens dozens at once
  handshake_ms_max: { ssh: 60 * second, postgres: 10 * second, http: 10 * second }, // ssh: a person may type a passphrase

  // Leases.
  tick_ms_max: second, // the lease book looks at the clock at least this often, so a clock that jumps is seen
  timer_delay_ms_max: 2_147_483_647, // setTimeout's own: 24.8 days
  warnings_ms_before: [5 * minute, minute],
  cancel_ms_max: 3 * second, // to cancel what runs upstream: several ways there and back to a target that is far away or busy
  farewell_ms_max: 200, // to say why; a client that does not read cannot hold the door open
  drain_ms: 10 * second, // after SIGTERM, before live sessions are cut

  // Freshness.
  heartbeat_ms: second, // the approval service speaks on the feed at least this often
  freshness_ms: 5 * second, // a gateway that has heard nothing for this long opens nothing new
  feed_retry_ms_max: 2 * second,
  start_clock_skew_ms_max: second, // a grant made now by a service whose clock is ahead opens at once; an end is never moved
  grant_cache_entries_max: 50_000, // (subject, target) pairs
  control_call_ms_max: 5 * second,
  control_body_bytes_max: MiB,
  control_list_bytes_max: 16 * MiB, // an answer that is a list
  control_connections_max: 64, // of one client to the service; long polls hold one each
  error_words_chars_max: 2_000, // of an error body that are repeated
  upstream_cas_max: 256, // kept ready for TLS towards targets; one more than are in use costs a reading of its PEM
  session_reports_pause_ms: 20, // between two calls: what starts and ends meanwhile goes out together, and is one change of the store
  session_reports_max: 100_000, // waiting for the approval service to come back

  target_name_chars_max: 63, // a DNS label; nothing longer is looked up

  // Dialling.
  dial_ms_max: 10 * second,

  // Requests.
  reason_chars_max: 500,
  pending_requests_per_subject_max: 100,
  pending_ms_max: 30 * 24 * 60 * minute, // a request nobody decided is over; its rule says when
  approval_steps_max: 8, // of one rule
  schedule_windows_max: 16, // of one rule
  review_ms_max: 30 * 24 * 60 * minute, // after a break-glass
  sweep_ms: 5 * second, // how often what time alone has changed is looked for: requests that lapse, escalate or want a review
  grant_ms_max: 366 * 24 * 60 * minute,
  grant_ms_min: second,
  long_poll_ms_max: 30 * second,
  wait_retry_ms: second, // between two looks of a command that waits for a decision, while the service does not answer
  wait_away_ms_max: 15 * minute, // so long it waits for a service that restarts or moves; a pipeline ought not hang for ever
  long_polls_max: 10_000, // waiting at once, on one approval service
  long_polls_per_subject_max: 100, // one person cannot take the whole of it
  start_ahead_ms_max: 90 * 24 * 60 * minute, // how far ahead a later start may be asked for
  start_behind_ms_max: minute, // clocks differ: a start this far in the past still means now
  same_question_ms: minute, // a retry of a question that a rule answered finds that answer
  waiting_requests_max: 50, // looked at in one change when the rules are others: others decide in between
  live_grants_per_subject_max: 1_000, // that rules give by themselves; people stop at their own bound
  list_rows_max: 1_000, // of one list of the API, newest first
  list_slice_rows: 100, // of a list, read at once: the embedded store answers nobody else meanwhile
  grant_uses_max: 10_000, // actions that one grant may count; each is a change of the store
  first_use_within_ms_max: 30 * 24 * 60 * minute, // how long a grant may wait for its first use
  scope_actions_max: 32, // named in one request; somebody reads them all before approving
  scope_action_chars_max: 4_000, // of one of them; a longer one is named by its digest
  scope_pattern_text_chars_max: 8 * KiB, // of an action that a pattern is held against; a longer one is not covered

  // Asking from within a tool. Whoever does has shown who they are.
  asking_max: 1_000, // of one process of a gateway, writing or waiting; each holds a connection
  asking_per_subject_max: 50, // one person's tools: a script that starts many at once fits in
  ask_tries_max: 3, // of writing what can be asked
  ask_answer_ms_max: 5 * minute, // for a person to write a line
  ask_duration_ms: 60 * minute, // unless the person or the rule says less
  ask_wait_ms: 10 * minute, // for a decision, unless the target says otherwise
  ask_wait_ms_max: 24 * 60 * minute,
  ask_again_ms: second, // between two tries to reach the service
  ask_calls_max: 5, // tries to file, or to take back
  ask_settled_max: 10_000, // decisions that are remembered for those whose question is still on its way

  store_wait_ms_max: second, // for another process that holds the embedded store; the service stands still meanwhile
  store_turn_ms_max: 4 * second, // that a change waits for those before it; less than a caller of the API waits
  store_connect_ms_max: 2 * second, // to a PostgreSQL store
  store_statement_ms_max: 2 * second, // of one statement, and of waiting for the changes of other services
  store_answer_ms_max: 3 * second, // for the answer to one statement: then the connection is given up
  store_readers_max: 8, // connections of one service for reading; changes have one
  store_idle_ms_max: minute, // a connection that nobody uses
  store_confirm_ms: 100, // between two questions about a commit that was not answered
  store_confirm_attempts_max: 20,
  store_look_ms: second, // between two looks at the version of a shared store: for how long what an older service reads may be used
  store_settle_ms: 2 * second, // after a service has brought a shared store on, before it writes: the older ones have seen it by then
  store_checkpoint_ms: 200, // between two times that the embedded store's log is written back
  store_log_bytes_min: 4 * MiB, // a log this small is left alone; SQLite's own
  store_log_pages_max: 16_384, // 64 MiB: a log that grows faster than it is written back
  store_statements_max: 500, // prepared and kept, of one connection to the store

  // The approval service's own door.
  control_request_ms_max: 10 * second, // for the head and body of one request to arrive
  control_idle_ms_max: minute, // of a kept-alive connection between two requests
  feed_subscribers_max: 1_000,
  feed_lines_max: 256, // read and written at once; what waits in memory for one subscriber
  feed_drain_ms_max: 5 * second, // a subscriber that takes nothing for this long is stale by its own rule

  // Gateways, as the approval service sees them.
  gateways_max: 1_000, // processes of gateways that are known at once
  gateway_name_chars_max: 128, // of a name that somebody claims, in the log
  gateway_assertion_ms: minute, // what a gateway signs for one call; also how far behind its clock may be
  gateway_tries_max: 3, // of one call, each signed anew: for the service that answered last time, then for any
  gateway_unaddressed_ms: minute, // one that reaches now this service and now that one signs for any: how long, before it looks again
  gateway_assertions_max: 200_000, // remembered until they are over, so that each counts once; some 3,000 calls a second
  gateway_assertions_shared_max: 50_000, // of those for any service, which the store remembers; each is counted over at the next
  gateway_word_ms: 5 * second, // a gateway says this often that it is there; the store learns of it as often
  gateway_silent_ms: 15 * second, // three words that did not come: the list says so
  gateway_lost_ms: 30 * second, // not heard for this long: its sessions are marked
  gateway_forgotten_ms: 7 * 24 * 60 * minute, // a lost one is listed this long
  announced_sessions_max: 40_000, // of one process, named in one report
  gateway_refused_ms: minute, // one that speaks for another is put on record at most this often

  // Tokens.
  token_ms: 60 * minute,
  api_token_ms: 15 * minute,
  token_key_shown_ms: 10 * minute, // how often a service shows that its signing key is in use
  token_key_ms: 31 * 24 * 60 * minute, // since a key was shown last: longer than the longest token, a browser's cookie, lives
  token_keys_ms_min: second, // between two looks for keys that are not known: anybody may send a token
  token_bytes_max: 8 * KiB,
  api_tokens_max: 10_000, // verified ones that are remembered, so that a signature is checked once and not at each call
  token_clock_skew_ms_max: 5 * second, // between the clocks of the service that issues and the gateway that verifies

  // Certificates as credentials.
  user_certificate_bytes_max: 16 * KiB, // an SSH certificate as a client shows it
  user_certificate_principals_max: 256, // OpenSSH's own
  workload_token_chars_max: 16 * KiB, // what a platform gives its jobs is below 4 KiB
  workload_token_ms_max: 24 * 60 * minute, // one that claims to be good for longer is no job's; and how long a job may stay logged in
  workload_login_ms_min: minute,
  workload_logins_max: 1_000, // live at once, of one workload: jobs run side by side

  // Logins.
  login_ms_min: 5 * minute, // `login_for`: shorter, and people would do nothing but log in
  login_ms_max: 30 * 24 * 60 * minute,
  logins_per_subject_max: 50, // live at once; past it the least lately used ends
  login_secret_chars_max: 128,
  login_touch_ms: minute, // a login's last use is noted at most this often
  refresh_again_ms: 10 * second, // a refresh token whose answer got lost may be shown again
  people_cache_entries_max: 50_000, // people, and logins, that a gateway remembers
  key_login_ms: 12 * 60 * minute, // of a login that was proven with an SSH key
  web_idle_ms: 4 * 60 * minute, // a browser's session that nobody uses ends
  login_flow_ms: 10 * minute, // from our sign-in page to the provider and back; a password and a second factor are typed meanwhile
  login_link_ms: 2 * minute, // a link that signs a browser in
  login_form_bytes_max: 16 * KiB,
  authorization_code_ms: minute, // from a page to the program that waits for it
  device_code_ms: 10 * minute,
  device_poll_ms: 5 * second, // RFC 8628, section 3.5; and so much more each time a program asks too fast
  device_codes_per_address_max: 30, // begun in `tries_ms`, from an IPv4 address or an IPv6 network
  user_code_tries_max: 20, // of one person in `tries_ms`; a code is one of 2.5e10
  tries_ms: 10 * minute,
  tries_remembered_max: 10_000,
  codes_max: 10_000, // of one kind, waiting to be used
  address_chars_max: 60, // "[v6]:port", with a zone
  oidc_call_ms_max: 5 * second, // one answer of the provider
  oidc_answer_bytes_max: 256 * KiB,
  oidc_metadata_ms: 60 * minute, // the provider's discovery document is asked for again after this
  oidc_keys_again_ms: 30 * second, // for a key that was not there
  oidc_retry_ms: second, // a provider that did not answer is left alone for so long
  oidc_clock_skew_ms_max: 30 * second, // between the provider's clock and ours
  oidc_token_ms_max: 24 * 60 * minute, // an ID token that claims to be good for longer is no ID token
  oidc_logout_ms_max: 5 * minute, // the age of what a provider says about a logout; it says so at once, and may have to say it again
  oidc_groups_max: 200, // of one person; those beyond are dropped, and logged
  certificate_ms_default: 12 * 60 * minute, // a working day
  certificate_ms_min: minute,
  certificate_ms_max: 7 * 24 * 60 * minute, // a rotated CA is trusted this long at most
  target_certificate_ms: 5 * minute, // of a gateway's login at a target; once logged in, it is not looked at again
  certificate_backdated_ms: 5 * minute, // the clocks of gateways and servers may be behind
  certificate_request_chars_max: 16 * KiB, // of a public key or a CSR
  certificate_networks_max: 64, // that certificates are good from
  authority_ms: 3_650 * 24 * 60 * minute, // a CA that nobody rotates
  authorities_refresh_ms: 30 * second, // how soon a gateway drops a CA, or a token key, that is distrusted
  authorities_unknown_ms: second, // between two questions about a CA that a gateway does not know

  // Notifications.
  notification_events_max: 256, // read of the audit log at once
  notification_waiting_max: 10_000, // deliveries of one channel; what a receiver that is gone can pile up
  notification_recipients_max: 50, // of one event, by mail
  notification_values_max: 10, // of a held statement; the others are on its page
  notification_sends_max: 4, // at once, of one channel
  notification_send_ms_max: 10 * second, // one attempt, from the first byte to the whole answer
  notification_claim_ms: 30 * second, // a service that died while it sent leaves the delivery to the others after this
  notification_retry_ms_min: 5 * second, // doubled with each attempt
  notification_retry_ms_max: 30 * minute,
  notification_ms_max: 24 * 60 * minute, // then it is given up: nobody decides by a message that old
  notification_sweep_ms: 5 * second, // to find what another service left
  notification_lag_max: 1_000, // events without a listener that are looked at again after a restart
  notification_body_bytes_max: 64 * KiB, // beyond it the event's detail is left out, and what a held action is made of
  notification_answer_bytes_max: 16 * KiB, // of a receiver's answer that are read; nothing in it matters
  slack_answer_bytes_max: 64 * KiB, // one press of a button; Slack sends the message along
  slack_answer_ms_max: 5 * minute, // its age, as Slack advises
  slack_updates_max: 16, // messages being changed at once

  // Pages.
  page_reload_ms: 5 * second, // of somebody who waits for a decision
  page_form_bytes_max: 256 * KiB, // a form with the longest actions that may be asked for
  page_rows_max: 200, // of one list on a page

  // Being seen from outside.
  log_text_chars_max: 4_096, // of one field: a peer may have chosen it
  log_items_max: 64, // of one list or object in a field
  telemetry_flush_ms_max: 2 * second, // at the end, for a collector that does not answer
  health_connections_max: 64,
  health_request_ms_max: 5 * second,
  health_header_bytes_max: 8 * KiB,

  // Configuration.
  config_bytes_max: MiB,
  config_value_bytes_max: 64 * KiB, // of what env:, file: or exec: gives
  config_command_ms_max: 10 * second, // for an exec: to answer
  rsa_bits_min: 2_048,
  rsa_bits_max: 16_384, // OpenSSH's own; a larger one only costs time
  gateway_key_chars_min: 32,

  // Rules for actions.
  action_rules_max: 256, // of one policy; each action is held against those of its target
  hold_text_chars_max: 64 * KiB, // of a held action; somebody reads all of it before approving
  hold_values_chars_max: 64 * KiB, // of its bound values
  flagged_ms: minute, // what one rule flags of one person on one target is told at once, and then together after this long
  flagged_told_max: 5, // of such actions, in words; the others are counted
  flagged_followed_max: 10_000, // of rules, people and targets at once; what goes beyond is on record alone
  hold_operations_max: 20, // that are named of a text which does several things
  hold_recent_max: 5, // of a session's last actions, for who decides about the next
  hold_recent_chars_max: 200, // of each of them
  hold_list_chars_max: 500, // of a held action's text, in a list
  holds_per_subject_max: 100, // waiting at once
  holds_settled_max: 10_000, // decisions that a gateway heard before the answer to its question
  estimate_wait_ms: 4 * second, // for who asks what a held statement would do; less than a call of the API waits
  estimate_again_ms: 10 * second, // before the same statement is estimated again
  estimate_ms_max: 3 * second, // of one, with the login to the target
  estimate_plan_ms_max: 2 * second, // of its planning, on the target
  estimate_lock_ms_max: second / 2, // that planning waits for a lock
  estimate_plan_bytes_max: 256 * KiB, // of a plan; a larger one is not read
  estimates_max: 4, // at once, of one process of a gateway
  statement_parts_max: 256, // operations in one SQL text; one with more is not looked into
  statement_parse_ms_max: 5 * second, // of one text; starting the thread is in it
  statement_parses_waiting_max: 1_000,
  statement_cache_bytes_max: 16 * MiB, // of texts that were parsed before

  // Recording.
  recorded_sql_bytes_max: MiB, // of one statement; its size and digest are kept beside it
  recorded_value_bytes_max: 64 * KiB, // of one bound value
  redact_columns_max: 256, // of one target; each is looked for in every statement
  protected_values_cache_bytes_max: 4 * MiB, // of prepared texts whose parameters were looked at, for one target
  redact_patterns_max: 32, // of one target; each looks through every statement
  recordings_wait_ms_max: 10 * second, // at a start, for the workers of a gateway that was killed: they cut their sessions and end
  recorded_note_delay_ms: 50, // outcomes may wait this long to be written with the next event
  recorded_file_look_ms: second, // between two looks whether a recording's file is still there, whole, while it is written to
  recorded_notes_chars_max: 256 * KiB, // waiting to be written
  recorded_line_bytes_max: 16 * MiB, // what a reader takes; the largest statement with values, escaped, is below it

  // Reading what a terminal showed.
  transcript_columns_max: 1_000, // a client may ask for a terminal of any size
  transcript_rows_max: 500,
  transcript_scrollback_rows: 1_000, // a line is looked for among so many rows above the screen
  transcript_batch_bytes: 64 * KiB, // of output, read in one go
  transcript_shifted_rows_max: 4_096, // by the sequences of one batch that shift whole rows; no program comes near
  transcript_enters_max: 1_000, // ends of lines that were typed and not seen yet
  transcript_line_chars_max: 16 * KiB, // of one command that is told
  asciicast_markers_max: 10_000, // commands that a player can jump to
  asciicast_marker_chars_max: 200, // of one of them

  // PostgreSQL (protocol 3.0, 3.2: "Message Formats").
  startup_bytes_max: 10_000, // the server's own bound
  auth_token_bytes_max: 65_535, // the server's own bound
  postgres_partial_bytes_max: 64 * KiB, // a message smaller than this is forwarded whole or not at all
  postgres_statements_max: 10_000, // prepared statements and portals followed on one connection
  postgres_statement_bytes_max: 64 * MiB, // SQL text, types and values followed on one connection
  postgres_statement_bytes_all_max: 512 * MiB, // ... on all connections of one process: a person may have many
  postgres_statement_bytes_share: 256 * KiB, // ... that each connection may have all the same; few applications prepare more
  postgres_held_bytes_max: 64 * KiB, // read of a client whose statement waits for somebody, only to see that it is still there
  postgres_pending_max: 10_000, // messages sent to the target and not answered yet; more than its 8 KiB of unflushed answers can cover
  postgres_login_ms_max: 30 * second, // from the first byte to a target until it is ready for a query; a busy server takes its time
  postgres_greeting_bytes_max: 256 * KiB, // what a target may say between the login and its first ReadyForQuery
  postgres_cancels_per_second_max: 10, // Ctrl-C on one session
  postgres_cancel_ms_max: 5 * second, // a CancelRequest's own connection to the target
  postgres_cancel_again_ms: 50, // at a session's end behind a pooler, which may lose a CancelRequest
  postgres_quiet_ms_max: second, // ... until the pooler says that nothing runs any more, or is not asked again
  recorded_values_bytes_max: MiB, // of the Bind message that carries the values of one execution
  scram_iterations_max: 1_000_000,
  scram_nonce_bytes_max: 1_024,
  scram_salt_bytes_max: 1_024,

  // SSH.
  ssh_channels_max: 64, // at once, on one connection
  ssh_auth_attempts_max: 12, // of a login, signed or by another method
  ssh_key_questions_max: 64, // "would this key do?", before a client signs: agents hold many keys
  ssh_env_vars_max: 32,
  ssh_command_bytes_max: 256 * KiB,
  ssh_window_bytes: 2 * MiB, // what one channel may have under way towards us; OpenSSH's own
  ssh_waiting_bytes: 256 * KiB, // written to one stream of a channel and not yet sent: then its reader pauses
  ssh_unsent_bytes_max: 16 * MiB, // answers a peer provokes and does not read
  ssh_untaken_bytes_max: MiB, // messages to a peer that takes none: a client can have us tell its target of thousands of window sizes
  ssh_requests_max: 1_000, // requests on one channel before a program is started: environment, terminal, sizes
  ssh_certificate_ms: 24 * 60 * minute, // a host certificate lives this long and is made anew at half of it
  ssh_certificates_max: 10_000, // kept, one for each name that is asked for
  ssh_login_ms_max: 10 * second, // the whole handshake with a target
  ssh_line_bytes_max: 16 * KiB, // of a verb's line
  ssh_line_words_max: 256, // words of a verb's line
  ssh_keys_bytes_max: 1024 * MiB, // under one set of keys, each way (RFC 4253, section 9)
  ssh_keys_ms_max: 60 * minute, // the same section
  ssh_exchange_ms_max: 5 * minute, // of a renewal with a peer that goes on talking; what was under way may be on a slow line
  ssh_keepalive_ms: 30 * second, // who was silent for so long is asked whether they are still there, client or target
  ssh_keepalives_max: 3, // such questions in a row; with none answered the connection is closed, after two and a half minutes at most
  ssh_heard_ms_max: 100, // of a client, at a cut: to show the last words, before the disconnect that would make it forget them
  ssh_ask_alive_ms: 10 * second, // between two signs of life to a client that waits for a decision
  ssh_leave_ms: second, // for a client to leave by itself after its last program, before it is told to
  ssh_forwards_per_second_max: 100, // connections that one client asks for; a browser behind -D asks for dozens at once
  ssh_listens_max: 32, // remote forwards of one session
  ssh_words_max: 32, // kept for a terminal that has not begun, of what waits and what was refused on its connection
  ssh_globals_max: 64, // global requests that wait for their answer; OpenSSH sends all its -R at once
  socket_path_bytes_max: 107, // Linux's own bound (sun_path)
  ssh_stop_ms: 600, // at a cut: between asking a process on the target to end and killing it

  sftp_packet_bytes_max: 256 * KiB, // OpenSSH's own bound, both ways
  sftp_path_bytes_max: 4 * KiB, // Linux's own bound (PATH_MAX)
  sftp_pending_bytes_max: 32 * MiB, // requests that wait for their answer; a client that asks for a whole file at once fits in
  sftp_handles_max: 4_096, // files open at once, on one channel

  // HTTP.
  http_header_bytes_max: 32 * KiB,
  http_headers_max: 200,
  http_session_idle_ms: 5 * minute, // an HTTP session without an exchange is closed
  http_exchanges_max: 1_000, // at once, on one HTTP session
  http_held_wait_ms: 25 * second, // that a request waits for an approval before it is told so: less than load balancers and clients give it
  http_held_body_bytes_max: 48 * KiB, // of a request that somebody is asked about
  http_pipelined_max: 64, // requests on one connection that wait for the one before them
  http_sessions_max: 10_000, // at once; past it the longest idle one ends
  http_tokens_max: 10_000, // verified ones that are remembered, so that a signature is checked once and not at each request
  http_keep_alive_ms: 75 * second, // a connection without an exchange; longer than the 60 s of common load balancers
  http_discarded_bytes_max: MiB, // of a refused upload that is read to keep the connection; a larger one closes it
  http_identity_ms: 5 * minute, // the life of an identity that an application is shown; a new one is signed at half of it
  http_return_chars_max: 1_000, // of the path that a browser comes back to after a login; a cookie holds it
  http_logins_max: 8, // of one browser at one target, under way
  passed_on_max: 1_000, // requests to the approval service under way, on behalf of people
  http_query_names_max: 64, // of one request, on record
  http_query_name_chars_max: 64, // what is longer is a value, and may be a secret
  websocket_close_reason_bytes_max: 123, // RFC 6455, section 5.5
} as const

assert(limits.heartbeat_ms * 2 < limits.freshness_ms, "one lost heartbeat must not stop a gateway")
assert(limits.tick_ms_max <= limits.timer_delay_ms_max)
assert(limits.farewell_ms_max < limits.cancel_ms_max)
assert(limits.postgres_quiet_ms_max < limits.cancel_ms_max, "the pooler must still be connected")
assert(limits.ssh_heard_ms_max < limits.farewell_ms_max, "a disconnect must still fit in")
assert(limits.ssh_stop_ms < limits.cancel_ms_max, "killing must still fit in")
assert(limits.estimate_plan_ms_max < limits.estimate_ms_max && limits.estimate_ms_max < limits.estimate_wait_ms)
assert(limits.estimate_wait_ms < limits.control_call_ms_max, "who asks hears that there is no answer")
assert(limits.api_token_ms <= limits.token_ms)
assert(limits.notification_send_ms_max < limits.notification_claim_ms, "nobody else takes what is still being sent")
assert(limits.freshness_ms + 3 * limits.gateway_word_ms < limits.gateway_lost_ms, "a gateway that works is not given up")
assert(limits.announced_sessions_max * 24 < limits.control_body_bytes_max, "the names of its sessions fit in one report")
assert(limits.store_turn_ms_max < limits.control_call_ms_max, "a caller hears that it did not happen, and does not guess")
assert(limits.store_look_ms < limits.store_settle_ms, "an older service has stopped when a newer one begins")
assert(limits.store_statement_ms_max < limits.store_answer_ms_max, "the database gives up first, and says so")

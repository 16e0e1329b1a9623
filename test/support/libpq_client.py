# A program on libpq 18, called as C would call it. What it may say in its arguments is a connection string; what it does is the first:
#   oauth   logs in by libpq's own OAUTHBEARER. Debian has no libpq-oauth, which shows the code, so this is the hook in its place: it
#           asks the endpoints that libpq was told of, prints the code, and waits for a line before it fetches the token.
#   cancel  runs a statement of a minute, and cancels it by a PGcancelConn, which is encrypted as the connection is
# It prints the protocol's version, then what came of it.
import ctypes, json, os, subprocess, sys, time

pq = ctypes.CDLL("libpq.so.5")
for name in ("PQconnectdb", "PQgetResult", "PQexec", "PQcancelCreate"):
    getattr(pq, name).restype = ctypes.c_void_p
for name in ("PQerrorMessage", "PQgetvalue", "PQresultErrorField"):
    getattr(pq, name).restype = ctypes.c_char_p


class Bearer(ctypes.Structure):
    _fields_ = [
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("poll", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
    ]


def fetch(url, **form):
    fields = [word for name, value in form.items() for word in ("--data-urlencode", f"{name}={value}")]
    return json.loads(subprocess.check_output(["curl", "-sS", "--cacert", os.environ["PGOAUTHCAFILE"], *fields, url]))


kept = []


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Bearer))
def hook(kind, _connection, request):
    if kind != 1:  # PQAUTHDATA_OAUTH_BEARER_TOKEN
        return 0
    found = fetch(request.contents.openid_configuration.decode())
    begun = fetch(found["device_authorization_endpoint"], client_id="psql")
    print(f"Visit {begun['verification_uri']} and enter the code: {begun['user_code']}", flush=True)
    sys.stdin.readline()
    time.sleep(begun["interval"])
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    got = fetch(found["token_endpoint"], client_id="psql", grant_type=grant, device_code=begun["device_code"])
    kept.append(got["access_token"].encode())  # libpq reads it later
    request.contents.token = kept[-1]
    return 1


what, where = sys.argv[1:3]
if what == "oauth":
    pq.PQsetAuthDataHook(hook)
db = ctypes.c_void_p(pq.PQconnectdb(where.encode()))
if pq.PQstatus(db) != 0:
    sys.exit(pq.PQerrorMessage(db).decode())
print(pq.PQfullProtocolVersion(db), flush=True)
if what == "oauth":
    result = ctypes.c_void_p(pq.PQexec(db, b"SELECT 'in by ' || current_user"))
    print(pq.PQgetvalue(result, 0, 0).decode())
else:
    pq.PQsendQuery(db, b"SELECT pg_sleep(60)")
    sys.stdin.readline()
    cancel = ctypes.c_void_p(pq.PQcancelCreate(db))
    print(pq.PQcancelBlocking(cancel), flush=True)
    print(pq.PQresultErrorField(ctypes.c_void_p(pq.PQgetResult(db)), ord("C")).decode())
pq.PQfinish(db)

// Read before each source file of ssh2's native crypto (build_native_crypto.mjs). From 24.x on, Node's own `ObjectWrap` takes a
// cleanup hook back in its destructor, which needs the environment of the current context. The garbage collector may run it from a
// task of its own, where there is none, and then Node aborts the process ("Assertion failed: (env) != nullptr") with every session
// in it. These objects hold nothing that outlives the process, so they need no such hook; older versions of Node have none.
#include <node.h>
#define AddEnvironmentCleanupHook(...) static_cast<void>(0)
#define RemoveEnvironmentCleanupHook(...) static_cast<void>(0)

;; Imports WASI's HTTP client, which is never linked.
(component
;;include types
;;include memory
  (import "wasi:http/outgoing-handler@0.2.0" (instance (export "handle" (func (param "request" u32)))))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)

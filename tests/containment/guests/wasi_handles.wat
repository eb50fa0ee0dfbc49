;; Collects handles, each of which is a thing at the host, and drops none.
(component
;;include types
;;include memory
;;include streams
  (core module $module
    (import "stdout" "get" (func $get (result i32)))
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (loop $again (drop (call $get)) (br $again))
      (unreachable)))
  (core instance $guest (instantiate $module (with "stdout" (instance $stdout))))
;;include driver
)

;; Imports a part of WASI that does not exist.
(component
;;include types
;;include memory
  (import "wasi:process/spawn@0.2.0" (instance (export "spawn" (func (param "command" string)))))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)

;; Replies, and does not come back from the clean-up that the host has run after it.
(component
;;include types
;;include memory
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "cleanup") (param i32) (loop $again (br $again))))
  (core instance $guest (instantiate $module))
  (func $reboot (param "deploy-id" string) (param "host" string) (param "action" string) (result (result (error $failure)))
    (canon lift (core func $guest "reboot") (memory $memory "memory") (realloc (func $memory "realloc"))
      (post-return (func $guest "cleanup"))))
  (instance $driver (export "reboot" (func $reboot)))
  (export "one:driver/vmm-driver@1.0.0" (instance $driver))
)

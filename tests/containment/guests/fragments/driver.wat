  ;; The core function `reboot` of the core instance $guest, as the driver's.
  (func $reboot (param "deploy-id" string) (param "host" string) (param "action" string) (result (result (error $failure)))
    (canon lift (core func $guest "reboot") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (instance $driver (export "reboot" (func $reboot)))
  (export "one:driver/vmm-driver@1.0.0" (instance $driver))

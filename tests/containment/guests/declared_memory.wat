;; Declares 4 GiB of memory; nothing of it is touched.
(component
;;include types
;;include memory
  (core module $module
    (memory 65536)
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)

;; Returns the address of a result that lies outside its memory.
(component
;;include types
;;include memory
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 65532)))
  (core instance $guest (instantiate $module))
;;include driver
)

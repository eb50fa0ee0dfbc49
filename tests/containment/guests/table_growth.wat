;; Grows a table until there is no more.
(component
;;include types
;;include memory
  (core module $module
    (table $table 1 funcref)
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (loop $again
        (drop (table.grow $table (ref.null func) (i32.const 1000)))
        (br $again))
      (unreachable)))
  (core instance $guest (instantiate $module))
;;include driver
)

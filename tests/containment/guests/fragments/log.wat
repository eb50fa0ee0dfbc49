  ;; The capability `log` as the core instance $log.
  (import "one:driver/log@1.0.0" (instance $logging
    (type $levels (enum "debug" "info" "warning" "error"))
    (export "level" (type $level (eq $levels)))
    (export "write" (func (param "level" $level) (param "message" string)))
  ))
  (core func $write (canon lower (func $logging "write") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core instance $log (export "write" (func $write)))

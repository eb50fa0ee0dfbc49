  ;; WASI's standard output as the core instance $stdout: `get`, `write`, `drop`.
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $error'))
    (export "error" (type $error'' (eq $error')))
    (type $causes (variant (case "last-operation-failed" (own $error'')) (case "closed")))
    (export "stream-error" (type $cause (eq $causes)))
    (export "output-stream" (type $output (sub resource)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $cause)))))
  ))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stdout@0.2.0" (instance $printing
    (alias outer 1 $output (type $output'))
    (export "output-stream" (type $output'' (eq $output')))
    (export "get-stdout" (func (result (own $output''))))
  ))
  (core func $get (canon lower (func $printing "get-stdout")))
  (core func $print (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $drop (canon resource.drop $output))
  (core instance $stdout (export "get" (func $get)) (export "write" (func $print)) (export "drop" (func $drop)))

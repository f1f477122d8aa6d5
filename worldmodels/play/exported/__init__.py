"""The dream as a static web page that runs in the visitor's own browser.

`graphs` what the page computes, as ONNX; `folder` the page with everything it needs; `page/` its own scripts, which
take the server's place; `runtime/` onnxruntime-web, which runs the graphs in the browser.
"""

vcl 4.1;
# Varnish with one backend; everything is looked up.
backend default { .host = "127.0.0.1"; .port = "@ORIGIN@"; }
sub vcl_recv { return (hash); }

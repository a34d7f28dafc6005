//! A real upstream Kubernetes cluster on one Linux machine.

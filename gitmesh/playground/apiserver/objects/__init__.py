"""What a Kubernetes object means: patches, schemas, selectors, columns, field ownership. No I/O, no clock."""

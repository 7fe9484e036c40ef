"""From a source's rows to studies: texts, tables, archives, images, and the one place that decides."""

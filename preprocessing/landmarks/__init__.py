"""Dense landmarks of faces behind one seam: `select.resolve` in the driver, `select.build` in each worker."""

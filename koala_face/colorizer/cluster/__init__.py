"""An archive of photographs: folders at any address that fsspec reaches, coloured by Dask's
workers: where photographs lie (`addresses`), what each worker does (`worker`), and who gives
them the work and watches them (`client`). `README.md` says what a cluster's owner starts.
"""

# An image that is nothing but files, to be mounted as a volume: what the build context holds.
FROM scratch
COPY . /

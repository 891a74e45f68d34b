# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by build and by the test: a root as an OCI layout.

# write_oci TAR FOLDER EPOCH - the layout FOLDER/oci of the root in TAR, an image "kvm-lab"; and its
# layer as FOLDER/root.tar.gz, the same file.  The same TAR and EPOCH make the same bytes.
write_oci() {
	local tar=$1 folder=$2 date image=$2/oci:kvm-lab layer
	date=$(date --utc --date "@$3" +%FT%TZ) &&
		umoci init --layout "$folder/oci" &&
		umoci new --image "$image" &&
		umoci raw add-layer --image "$image" --history.created "$date" \
			--history.created_by "make image" "$tar" &&
		umoci config --image "$image" --created "$date" --no-history --architecture amd64 --os linux \
			--config.cmd kvm-lab --config.cmd --help &&
		umoci gc --layout "$folder/oci" > /dev/null || return 1
	layer=$(python3 - "$folder/oci" <<-'PYTHON'
		import json, os, sys
		def read(digest):
		    return json.load(open(os.path.join(sys.argv[1], 'blobs', *digest.split(':')), 'rb'))
		index = json.load(open(os.path.join(sys.argv[1], 'index.json'), 'rb'))
		print(read(index['manifests'][0]['digest'])['layers'][0]['digest'].replace(':', '/'))
	PYTHON
	) && ln "$folder/oci/blobs/$layer" "$folder/root.tar.gz"
}

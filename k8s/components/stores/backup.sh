#!/bin/sh
# Write a dump of each database to a folder, and remove dumps that are older than two weeks.
#   backup.sh FOLDER     PGHOST, PGPORT, PGUSER and PGPASSWORD say where from; `pg_restore --dbname NAME FILE` reads a dump
set -eu
folder=$1
for database in feast mlflow; do
    file=$folder/$database-$(date -u +%Y%m%dT%H%M%SZ).dump
    # The name is given to whole dumps only.
    pg_dump --format=custom --file="$file.part" "$database"
    mv "$file.part" "$file"
    echo "$file: $(wc -c <"$file") bytes"
done
find "$folder" -name '*.dump*' -mtime +14 -delete

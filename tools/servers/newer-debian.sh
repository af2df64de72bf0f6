#!/bin/sh
# newer-debian.sh SUITE FOLDER: the servers of another Debian suite, for the tests. Run as root; repeat it after a reboot.
#
#   tools/servers/newer-debian.sh trixie /srv/trixie        RabbitMQ 4.0, Valkey 8.1
#   PATH=/srv/trixie/millrace:$PATH npm test -- --only redis,amqp,amqp-guard
#
# They run from the folder alone: RabbitMQ in a chroot, Valkey, under Redis' name, with the libraries found there.
set -eu
suite=$1
folder=$2
programs=$folder/millrace
library=$folder/usr/lib/$(uname -m)-linux-gnu

if [ ! -e "$programs" ]; then
  debootstrap --variant=minbase --include=rabbitmq-server,valkey-server "$suite" "$folder" http://deb.debian.org/debian
  mkdir "$programs"
  for program in rabbitmq-server rabbitmq-defaults; do
    printf '#!/bin/sh\nexec chroot %s /usr/lib/rabbitmq/bin/%s "$@"\n' "$folder" $program > "$programs/$program"
  done
  for program in server cli; do
    printf '#!/bin/sh\nexec %s --library-path %s %s/usr/bin/valkey-%s "$@"\n' \
      "$(echo "$library"/ld-linux-*)" "$library" "$folder" $program > "$programs/redis-$program"
  done
  chmod +x "$programs"/*
fi
# Where tests keep the data of servers, and what Erlang reads.
for place in dev dev/shm tmp proc; do
  mountpoint -q "$folder/$place" || mount --bind "/$place" "$folder/$place"
done
echo "PATH=$programs:\$PATH npm test -- --only redis,amqp,amqp-guard"

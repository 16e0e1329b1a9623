# Sluice in a container: built with everything, run with nothing but Node, the production dependencies and what was built.
#   docker build -t sluice .
#   docker run --stop-timeout 30 -v /etc/sluice:/etc/sluice:ro -v sluice-data:/var/lib/sluice \
#     -p 2222:2222 -p 5432:5432 -p 8443:8443 --name sluice sluice
#   docker exec sluice sluice reload --config /etc/sluice/sluice.yaml      # any verb
# The config is /etc/sluice/sluice.yaml, with `state: /var/lib/sluice` in it. It runs as the image's user `node` (1000): what is
# mounted there must be that user's to read, and a folder in the place of the volume its to write. `approvals.listen` and
# `gateway.health.listen` must not be loopback where they are to be reached from outside the container. Live sessions get ten seconds
# at a stop, which is all that docker gives a container unless told.

FROM node:24-bookworm AS build
WORKDIR /sluice
COPY package.json package-lock.json ./
COPY tools/*.mjs tools/*.h tools/
# The compiler is in this image, so ssh2's native crypto is built here.
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /sluice
COPY --from=build /sluice/package.json /sluice/LICENSE ./
COPY --from=build /sluice/node_modules node_modules
COPY --from=build /sluice/bin bin
COPY --from=build /sluice/dist dist
RUN ln -s /sluice/bin/sluice.mjs /usr/local/bin/sluice && install -d -o node -g node -m 0700 /var/lib/sluice
USER node
VOLUME /var/lib/sluice
EXPOSE 2222 5432 8443 7070
STOPSIGNAL SIGTERM
ENTRYPOINT ["sluice"]
CMD ["start", "--config", "/etc/sluice/sluice.yaml"]

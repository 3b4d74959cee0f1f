/** Wrong configs of the section `l7`, each with the exact place of its error, where `^` marks it, and its message. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { placeOf, problemsOf, unmark } from './fixture.js';
import { type L7Parts, l7Text, SUBKEY } from './l7-fixture.js';

type Case = readonly [title: string, parts: L7Parts, field: string, message: RegExp];

const route = (text: string): L7Parts => ({ routes: [text, '{host: last.example.com, to: shop}'] });
const SHOP = '{name: a, address: 10.2.0.11, port: 8080}';
const TLS = 'services: [https]\ncertificates: /nowhere';
const WEB = 'l7.frontends.web';
const ROUTE = `${WEB}.routes[0]`;
const UP = 'l7.upstreams.shop';
const upstreams = (text: string): L7Parts => ({
  upstreams: `    shop: {servers: [${SHOP}]}\n${text.replace(/^/gm, '    ')}\n`,
});

const SERVICES: readonly Case[] = [
  [
    'a service that is none, with a near one',
    { frontend: 'services: [^plan]' },
    `${WEB}.services[0]`,
    /^found "plan", which is not a service; did you mean "plain"\?$/,
  ],
  [
    'a service that is near to none',
    { frontend: 'services: [plain, ^zebra]' },
    `${WEB}.services[1]`,
    /; expected the name of a service under services$/,
  ],
  [
    'a UDP service',
    { frontend: 'services: [^dns]' },
    `${WEB}.services[0]`,
    /^found the UDP service "dns"; expected a service over TCP$/,
  ],
  [
    'a service that is taken by another frontend',
    {
      frontends:
        '    a: {services: [plain], routes: [{to: shop}]}\n    b: {services: [^plain], routes: [{to: shop}]}\n',
    },
    'l7.frontends.b.services[0]',
    /^the service "plain" is taken already \(line 17\); expected another one$/,
  ],
  [
    'a service that is taken twice in one frontend',
    { frontend: 'services: [plain, ^plain]' },
    `${WEB}.services[1]`,
    /is taken already/,
  ],
  [
    'a service that is in services and in redirect_from',
    { frontend: `${TLS}\nredirect_from: [^https]` },
    `${WEB}.redirect_from[0]`,
    /is taken already/,
  ],
  [
    'no service',
    { frontend: 'services: ^[]' },
    `${WEB}.services`,
    /expected a list of services, at least one$/,
  ],
  [
    'a service that is not a name',
    { frontend: 'services: [^8080]' },
    `${WEB}.services[0]`,
    /expected the name of a service; text that looks like a number/,
  ],
  [
    'a missing list of services',
    { frontends: '    web: ^{routes: [{to: shop}]}\n' },
    `${WEB}.services`,
    /^missing; expected a list of services/,
  ],
];

const FRONTENDS: readonly Case[] = [
  [
    'a redirect to https without certificates',
    { frontend: 'services: [plain]\n^redirect_from: [http]' },
    `${WEB}.redirect_from`,
    /^found without certificates; a redirect to https needs TLS: expected certificates too$/,
  ],
  [
    'HSTS without certificates',
    { frontend: 'services: [plain]\n^hsts: 1y' },
    `${WEB}.hsts`,
    /HSTS needs TLS/,
  ],
  [
    'client certificates without certificates',
    { frontend: 'services: [plain]\n^clients: {ca_file: ca.pem}' },
    `${WEB}.clients`,
    /a client certificate needs TLS/,
  ],
  [
    'HSTS for too long',
    { frontend: `${TLS}\nhsts: ^11y` },
    `${WEB}.hsts`,
    /^found "11y"; expected a time with its unit .* 1s to 10y$/,
  ],
  [
    'a time in weeks',
    { frontend: `${TLS}\nhsts: ^52w` },
    `${WEB}.hsts`,
    /^found "52w"; expected a time with its unit/,
  ],
  [
    'an idle timeout of no unit',
    { frontend: 'services: [plain]\nidle_timeout: ^60' },
    `${WEB}.idle_timeout`,
    /expected a time with its unit .* 1s to 24h/,
  ],
  [
    'a rate without its period',
    { frontend: 'services: [plain]\nclient_rate: ^{requests: 200}' },
    `${WEB}.client_rate.per`,
    /^missing; expected a time/,
  ],
  [
    'a rate of no request',
    { frontend: 'services: [plain]\nclient_rate: {requests: ^0, per: 10s}' },
    `${WEB}.client_rate.requests`,
    /^found 0; expected a whole number, 1 to 1000000$/,
  ],
  [
    'a rate over too long a time',
    { frontend: 'services: [plain]\nclient_rate: {requests: 1, per: ^1d}' },
    `${WEB}.client_rate.per`,
    /1s to 1h$/,
  ],
  [
    'the name of a frontend with a space',
    { frontends: '    ^"a b": {services: [plain], routes: [{to: shop}]}\n' },
    'l7.frontends["a b"]',
    /^found "a b"; expected a name: letters, digits/,
  ],
  [
    'a frontend that is a list',
    { frontends: '    web: ^[plain]\n' },
    WEB,
    /^found a list; expected a mapping \{services: \[\.\.\.\], routes: \[\.\.\.\]\}$/,
  ],
  [
    'an unknown field with a near one',
    { frontend: 'services: [plain]\n^certificate: certs' },
    `${WEB}.certificate`,
    /^unknown key "certificate"; did you mean "certificates"\?$/,
  ],
];

const HEADERS: readonly Case[] = [
  [
    'a header that frames messages',
    { frontend: 'services: [plain]\nheaders: {set: {^Transfer-Encoding: chunked}}' },
    `${WEB}.headers.set.Transfer-Encoding`,
    /^found "Transfer-Encoding", which the proxy hosts and HTTP itself set; expected another header$/,
  ],
  [
    'a header that names the client',
    { frontend: 'services: [plain]\nheaders: {request: {remove: [^x-forwarded-for]}}' },
    `${WEB}.headers.request.remove[0]`,
    /which the proxy hosts and HTTP itself set/,
  ],
  [
    'a header twice, once in capitals',
    { frontend: 'services: [plain]\nheaders: {set: {x-edge: a, ^X-Edge: b}}' },
    `${WEB}.headers.set.X-Edge`,
    /^found the header "X-Edge" twice; expected it once: case does not matter in names of headers$/,
  ],
  [
    'a header that is set and removed',
    { frontend: 'services: [plain]\nheaders: {set: {x-edge: a}, remove: [server, ^X-Edge]}' },
    `${WEB}.headers.remove[1]`,
    /^found the header "X-Edge", which line 19 sets or removes already; expected it once$/,
  ],
  [
    'a header that is removed twice',
    { frontend: 'services: [plain]\nheaders: {remove: [server, ^server]}' },
    `${WEB}.headers.remove[1]`,
    /which line 19 sets or removes already/,
  ],
  [
    'a header that is set for both, and for responses again',
    { frontend: 'services: [plain]\nheaders:\n  set: {x-edge: a}\n  response: {set: {^x-edge: b}}' },
    `${WEB}.headers.response.set.x-edge`,
    /which line 20 sets or removes already/,
  ],
  [
    'the name of a header with a colon',
    { frontend: 'services: [plain]\nheaders: {set: {^"x:edge": a}}' },
    `${WEB}.headers.set["x:edge"]`,
    /^found "x:edge"; expected the name of a header: letters, digits, "-" and "_", 64 characters at most$/,
  ],
  [
    'the name of a header to remove with a line feed',
    { frontend: 'services: [plain]\nheaders: {remove: [^"a\\nb"]}' },
    `${WEB}.headers.remove[0]`,
    /^found "a\\nb"; expected a name: letters, digits, "-" and "_"/,
  ],
  [
    'the value of a header with a line feed',
    { frontend: 'services: [plain]\nheaders: {set: {x-edge: ^"a\\nhttp-request deny"}}' },
    `${WEB}.headers.set.x-edge`,
    /^found "a\\nhttp-request deny"; expected printable ASCII text, 1 to 1024 characters, no space at either end$/,
  ],
  [
    'the value of a header with NUL',
    { frontend: 'services: [plain]\nheaders: {set: {x-edge: ^"a\\0b"}}' },
    `${WEB}.headers.set.x-edge`,
    /^found "a\\u0000b"; expected printable ASCII/,
  ],
  [
    'the value of a header that ends with a space',
    { frontend: 'services: [plain]\nheaders: {set: {x-edge: ^"a "}}' },
    `${WEB}.headers.set.x-edge`,
    /no space at either end/,
  ],
  [
    'the value of a header in other letters',
    { frontend: 'services: [plain]\nheaders: {set: {x-edge: ^"é"}}' },
    `${WEB}.headers.set.x-edge`,
    /^found "\\u00e9"; expected printable ASCII/,
  ],
  [
    'the value of a header that is too long',
    { frontend: `services: [plain]\nheaders: {set: {x-edge: ^${'a'.repeat(1025)}}}` },
    `${WEB}.headers.set.x-edge`,
    /1 to 1024 characters/,
  ],
  [
    'too many headers',
    {
      frontend: `services: [plain]\nheaders: {set: ^{${Array.from({ length: 65 }, (_, i) => `x-${i}: a`).join(', ')}}}`,
    },
    `${WEB}.headers.set`,
    /^found 65 headers; expected 64 at most$/,
  ],
];

const ROUTES: readonly Case[] = [
  [
    'a route without a target',
    route('^{host: a.example.com}'),
    ROUTE,
    /^found neither to nor redirect; expected one of the two$/,
  ],
  [
    'a route with two targets',
    route('{host: a.example.com, to: shop, ^redirect: "https://b.example.com"}'),
    `${ROUTE}.redirect`,
    /^found both to and redirect; expected one of the two$/,
  ],
  [
    'a status without a redirect',
    route('{host: a.example.com, to: shop, ^status: 301}'),
    `${ROUTE}.status`,
    /^found without redirect; expected only with redirect$/,
  ],
  [
    'a status that is no redirect',
    route('{host: a.example.com, redirect: "https://b.example.com", status: ^200}'),
    `${ROUTE}.status`,
    /^found 200; expected 301, 302, 303, 307 or 308$/,
  ],
  [
    'a status in quotes',
    route('{host: a.example.com, redirect: "https://b.example.com", status: ^"308"}'),
    `${ROUTE}.status`,
    /^found "308"; expected 301, 302, 303, 307 or 308, without quotes$/,
  ],
  [
    'an upstream that is none, with a near one',
    route('{to: ^shoop}'),
    `${ROUTE}.to`,
    /^found "shoop", which is not an upstream; did you mean "shop"\?$/,
  ],
  [
    'an upstream that is near to none',
    route('{to: ^backend}'),
    `${ROUTE}.to`,
    /; expected the name of an upstream under l7\.upstreams$/,
  ],
  [
    'a route behind one that takes everything',
    { routes: ['{to: shop}', '^{header: {x-beta: "1"}, to: shop}'] },
    `${WEB}.routes[1]`,
    /^no request gets here: the route of line 20 has the same host and path and no conditions; expected routes with more conditions before those with fewer$/,
  ],
  [
    'a route with the same host in capitals and the same path with a slash',
    {
      routes: ['{host: a.example.com, path: /v1, to: shop}', '^{host: A.example.com, path: /v1/, to: shop}'],
    },
    `${WEB}.routes[1]`,
    /^no request gets here/,
  ],
  [
    'a route with one condition more than an earlier one',
    {
      routes: [
        '{header: {x-beta: "1"}, to: shop}',
        '^{cookie: {group: b}, header: {X-Beta: "1"}, to: shop}',
        '{to: shop}',
      ],
    },
    `${WEB}.routes[1]`,
    /^no request gets here: the route of line 20 has the same host and path and asks for no more;/,
  ],
  [
    'a redirect to its own host',
    {
      frontend: TLS,
      routes: ['{host: a.example.com, redirect: ^"https://A.example.com:443"}', '{to: shop}'],
    },
    `${ROUTE}.redirect`,
    /^redirects in a circle: a request for this URL gets here again; expected another URL, or a route to an upstream for it$/,
  ],
  [
    'a redirect of all hosts to one without a route',
    { frontend: TLS, routes: ['{redirect: ^"https://www.example.com"}'], ...upstreams('') },
    `${ROUTE}.redirect`,
    /^redirects in a circle/,
  ],
  [
    'redirects to each other',
    {
      frontend: TLS,
      routes: [
        '{host: a.example.com, redirect: ^"https://b.example.com"}',
        '{host: b.example.com, redirect: ^"https://a.example.com"}',
        '{to: shop}',
      ],
    },
    `${ROUTE}.redirect`,
    /^redirects in a circle/,
  ],
  [
    'a host with a port',
    route('{host: ^"a.example.com:443", to: shop}'),
    `${ROUTE}.host`,
    /^found "a\.example\.com:443"; expected a host name without port, "shop\.example\.com", or "\*\.example\.com" for every name below/,
  ],
  [
    'a host with a line feed',
    route('{host: ^"a\\nb", to: shop}'),
    `${ROUTE}.host`,
    /^found "a\\nb"; expected a host/,
  ],
  [
    'a host with an environment variable',
    route(`{host: ^"\${HOST}", to: shop}`),
    `${ROUTE}.host`,
    /expected a host/,
  ],
  [
    'a host in other letters',
    route('{host: ^"bücher.example", to: shop}'),
    `${ROUTE}.host`,
    /in their "xn--" form$/,
  ],
  [
    'a host with a wildcard within',
    route('{host: ^"a.*.example.com", to: shop}'),
    `${ROUTE}.host`,
    /expected a host/,
  ],
  [
    'a host that is too long',
    route(`{host: ^${'a.'.repeat(127)}, to: shop}`),
    `${ROUTE}.host`,
    /expected a host/,
  ],
  [
    'a host name that is too long',
    route(`{host: ^${'a.'.repeat(126)}bc, to: shop}`),
    `${ROUTE}.host`,
    /expected a host/,
  ],
  [
    'a path without a slash',
    route('{path: ^v1, to: shop}'),
    `${ROUTE}.path`,
    /^found "v1"; expected a path that starts with "\/"/,
  ],
  ['a path with a space', route('{path: ^"/a b", to: shop}'), `${ROUTE}.path`, /expected a path/],
  ['a path with a query', route('{path: ^"/a?b=1", to: shop}'), `${ROUTE}.path`, /expected a path/],
  ['a path with a quote', route(`{path: ^"/a'b", to: shop}`), `${ROUTE}.path`, /expected a path/],
  [
    'a path with a log format',
    route('{path: ^"/%[src]", to: shop}'),
    `${ROUTE}.path`,
    /"%" with two hexadecimal digits/,
  ],
  [
    'a path with half an escape',
    route('{path: ^"/%a", to: shop}'),
    `${ROUTE}.path`,
    /"%" with two hexadecimal digits/,
  ],
  ['a path in other letters', route('{path: ^"/ü", to: shop}'), `${ROUTE}.path`, /expected a path/],
  [
    'a path that is too long',
    route(`{path: ^/${'a'.repeat(1024)}, to: shop}`),
    `${ROUTE}.path`,
    /1024 characters at most$/,
  ],
  [
    'a URL of another scheme',
    route('{redirect: ^"ftp://example.com"}'),
    `${ROUTE}.redirect`,
    /^found "ftp:\/\/example\.com"; expected a URL without query: "https:\/\/shop\.example\.com"/,
  ],
  [
    'a URL with a query',
    route('{redirect: ^"https://example.com/?a=b"}'),
    `${ROUTE}.redirect`,
    /without query/,
  ],
  ['a URL with a user', route('{redirect: ^"https://a@example.com"}'), `${ROUTE}.redirect`, /expected a URL/],
  ['a URL with port 0', route('{redirect: ^"https://example.com:0"}'), `${ROUTE}.redirect`, /expected a URL/],
  [
    'a URL with port 65536',
    route('{redirect: ^"https://example.com:65536/"}'),
    `${ROUTE}.redirect`,
    /expected a URL/,
  ],
  [
    'a URL with a line feed',
    route('{redirect: ^"https://example.com/\\r\\nSet-Cookie:a"}'),
    `${ROUTE}.redirect`,
    /expected a URL/,
  ],
  [
    'a URL that is too long',
    route(`{redirect: ^"https://example.com/${'a'.repeat(1010)}"}`),
    `${ROUTE}.redirect`,
    /1024 characters at most$/,
  ],
  [
    'a condition on the host by its header',
    route('{header: {^Host: a.example.com}, to: shop}'),
    `${ROUTE}.header.Host`,
    /^found "Host"; expected the field host of the route for it$/,
  ],
  [
    'a condition on a header that frames messages',
    route('{header: {^TE: trailers}, to: shop}'),
    `${ROUTE}.header.TE`,
    /which the proxy hosts and HTTP itself set/,
  ],
  [
    'a value that is a number',
    route('{header: {x-beta: ^1}, to: shop}'),
    `${ROUTE}.header.x-beta`,
    /^found 1; expected printable ASCII text, .*; text that looks like a number or a boolean must be in quotes$/,
  ],
  [
    'an empty value',
    route('{header: {x-beta: ^""}, to: shop}'),
    `${ROUTE}.header.x-beta`,
    /^found ""; expected/,
  ],
  [
    'a cookie with a semicolon',
    route('{cookie: {group: ^"b; a=c"}, to: shop}'),
    `${ROUTE}.cookie.group`,
    /^found "b; a=c"; expected printable ASCII text without space, comma, semicolon, quote and backslash, 1 to 256 characters$/,
  ],
  [
    'a cookie with a quote',
    route(`{cookie: {group: ^'"b"'}, to: shop}`),
    `${ROUTE}.cookie.group`,
    /without space, comma/,
  ],
  [
    'a cookie that is too long',
    route(`{cookie: {group: ^${'b'.repeat(257)}}, to: shop}`),
    `${ROUTE}.cookie.group`,
    /1 to 256/,
  ],
  [
    'the name of a cookie with a space',
    route('{cookie: {^"a b": c}, to: shop}'),
    `${ROUTE}.cookie["a b"]`,
    /expected the name of a cookie: letters, digits/,
  ],
  [
    'no route',
    { frontends: '    web: {services: [plain], routes: ^[]}\n' },
    `${WEB}.routes`,
    /at least one: - \{host: \.\.\., to: \.\.\.\}$/,
  ],
  [
    'an unknown field of a route',
    route('{^prefix: /v1, to: shop}'),
    `${ROUTE}.prefix`,
    /^unknown key "prefix"; expected one of host, path, header, cookie, to, redirect, status$/,
  ],
];

const UPSTREAMS: readonly Case[] = [
  [
    'an upstream without servers',
    upstreams('b: ^{balance: round_robin}'),
    'l7.upstreams.b.servers',
    /^missing; expected a list of servers, at least one: - \{name: \.\.\., address: \.\.\., port: \.\.\.\}$/,
  ],
  [
    'a way to choose that is none',
    { upstream: 'balance: ^leastconn' },
    `${UP}.balance`,
    /^found "leastconn"; expected least_connections, round_robin, power_of_two or hash$/,
  ],
  [
    'hash without what is hashed',
    { upstreams: '    shop: ^{balance: hash, servers: [{name: a, address: 10.2.0.11, port: 8080}]}\n' },
    `${UP}.hash_on`,
    /^missing; expected \{header: NAME\}, \{cookie: NAME\}, path or source with balance: hash$/,
  ],
  [
    'something else that is hashed',
    { upstream: 'balance: hash\nhash_on: ^uri' },
    `${UP}.hash_on`,
    /^found "uri"; expected \{header: NAME\}, \{cookie: NAME\}, path or source$/,
  ],
  [
    'two things that are hashed',
    { upstream: 'balance: hash\nhash_on: ^{header: x-user, cookie: user}' },
    `${UP}.hash_on`,
    /expected \{header: NAME\}, \{cookie: NAME\}, path or source$/,
  ],
  [
    'a header that is hashed and removed',
    { upstream: 'balance: hash\nhash_on: ^{header: X-Real-IP}' },
    `${UP}.hash_on`,
    /^found the header "X-Real-IP", which the proxy hosts remove from requests; expected another header$/,
  ],
  [
    'a header that is hashed and has "_"',
    { upstream: 'balance: hash\nhash_on: ^{header: x_user}' },
    `${UP}.hash_on`,
    /which the proxy hosts remove from requests/,
  ],
  [
    'the name of a sticky cookie with "="',
    { upstream: 'sticky: {cookie: ^"A=B"}' },
    `${UP}.sticky.cookie`,
    /^found "A=B"; expected a name: letters, digits/,
  ],
  [
    'a sticky cookie without a name',
    { upstream: 'sticky: ^true' },
    `${UP}.sticky`,
    /expected a mapping \{cookie: NAME\}/,
  ],
  [
    'a check that is none',
    { upstream: 'health: {kind: ^https}' },
    `${UP}.health.kind`,
    /expected http, tcp or none$/,
  ],
  [
    'a path with a check that only connects',
    { upstream: 'health: {kind: tcp, ^path: /healthz}' },
    `${UP}.health.path`,
    /^found with kind tcp; expected only with http$/,
  ],
  [
    'statuses without a check',
    { upstream: 'health: {kind: none, ^status: 200}' },
    `${UP}.health.status`,
    /^found with kind none; expected only with http$/,
  ],
  [
    'a check that may outlast its interval',
    { upstream: 'health: {interval: 1s, timeout: ^2s}' },
    `${UP}.health.timeout`,
    /^found 2s; expected the interval, 1s, at most$/,
  ],
  [
    'an interval below the default timeout',
    { upstream: 'health: {interval: ^500ms}' },
    `${UP}.health.interval`,
    /^found 500ms; expected at least the timeout, which is 1s by default$/,
  ],
  [
    'statuses in the wrong order',
    { upstream: 'health: {status: ^"399-200"}' },
    `${UP}.health.status`,
    /a range in quotes, "200-399"$/,
  ],
  [
    'the host of a check with port 99999',
    { upstream: 'health: {host: ^"a.example.com:99999"}' },
    `${UP}.health.host`,
    /a host name or an IPv4 address, with or without a port$/,
  ],
  [
    'a check that is a word',
    { upstream: 'health: ^http' },
    `${UP}.health`,
    /^found "http"; expected a mapping \{kind: \.\.\.\}$/,
  ],
  [
    'passive checks of servers that nothing brings back',
    { upstream: 'health: {kind: none}\n^passive: {errors: 10}' },
    `${UP}.passive`,
    /^found with health: \{kind: none\}; only a check brings a server back$/,
  ],
  [
    'panic without checks',
    { upstream: 'health: {kind: none}\n^panic_threshold: 50%' },
    `${UP}.panic_threshold`,
    /^found with health: \{kind: none\}; without checks every server counts as up$/,
  ],
  [
    'a share above one',
    { upstream: 'panic_threshold: ^50' },
    `${UP}.panic_threshold`,
    /^found 50; expected a share: a number, 0 to 1, or a percentage, 0% to 100%$/,
  ],
  [
    'a percentage above all',
    { upstream: 'panic_threshold: ^101%' },
    `${UP}.panic_threshold`,
    /expected a share/,
  ],
  [
    'too many retries',
    { upstream: 'retries: ^11' },
    `${UP}.retries`,
    /^found 11; expected a whole number, 0 to 10$/,
  ],
  ['no connection', { upstream: 'max_connections: ^0' }, `${UP}.max_connections`, /1 to 65535$/],
  ['a timeout that is too short', { upstream: 'timeout: ^10ms' }, `${UP}.timeout`, /100ms to 24h$/],
  ['a tunnel for too long', { upstream: 'tunnel_timeout: ^2d' }, `${UP}.tunnel_timeout`, /100ms to 24h$/],
  ['a protocol that is none', { upstream: 'protocol: ^h2' }, `${UP}.protocol`, /expected http1 or http2$/],
  [
    'TLS without a name',
    { upstream: 'tls: ^{ca_file: ca.pem}' },
    `${UP}.tls.server_name`,
    /^missing; expected a host name$/,
  ],
  [
    'TLS with an address for a name',
    { upstream: 'tls: {server_name: ^"10.2.0.11"}' },
    `${UP}.tls.server_name`,
    /expected a host name$/,
  ],
  [
    'the name of an upstream with a slash',
    upstreams(`^"a/b": {servers: [${SHOP}]}`),
    'l7.upstreams["a/b"]',
    /expected a name: letters, digits/,
  ],
];

const SERVERS: readonly Case[] = [
  [
    'a server with the name of another one',
    { servers: [SHOP, '{name: ^a, address: 10.2.0.12, port: 80}'] },
    `${UP}.servers[1].name`,
    /^the server name "a" is taken already \(line 24\); expected another one$/,
  ],
  [
    'a server at the place of another one',
    { servers: [SHOP, '{name: b, address: ^10.2.0.11, port: 8080}'] },
    `${UP}.servers[1].address`,
    /^the server 10\.2\.0\.11 port 8080 is taken already \(line 24\); expected another one$/,
  ],
  [
    'the frontend that requests come from',
    { servers: ['{name: a, address: ^203.0.113.10, port: 8080}'] },
    `${UP}.servers[0].address`,
    /^found 203\.0\.113\.10 port 8080, the service "plain" from which requests come here; expected the address of a server$/,
  ],
  [
    'a loopback address',
    { servers: ['{name: a, address: ^127.0.0.1, port: 80}'] },
    `${UP}.servers[0].address`,
    /^127\.0\.0\.1 is loopback; expected the address of a server$/,
  ],
  [
    'a server by its name',
    { servers: ['{name: a, address: ^shop.example.com, port: 80}'] },
    `${UP}.servers[0].address`,
    /expected an IPv4 or IPv6 address$/,
  ],
  [
    'a server without a port',
    { servers: ['^{name: a, address: 10.2.0.11}'] },
    `${UP}.servers[0].port`,
    /^missing; expected a port, 1 to 65535$/,
  ],
  [
    'a port out of range',
    { servers: ['{name: a, address: 10.2.0.11, port: ^65536}'] },
    `${UP}.servers[0].port`,
    /^found 65536; expected a port, 1 to 65535$/,
  ],
  [
    'a weight above what HAProxy counts to',
    { servers: ['{name: a, address: 10.2.0.11, port: 80, weight: ^257}'] },
    `${UP}.servers[0].weight`,
    /0 to 256$/,
  ],
  [
    'a state that is none',
    { servers: ['{name: a, address: 10.2.0.11, port: 80, state: ^down}'] },
    `${UP}.servers[0].state`,
    /expected active or draining$/,
  ],
];

const TIER: readonly Case[] = [
  [
    'a subkey of another length',
    { fields: `key: ^${SUBKEY.slice(2)}` },
    'l7.key',
    /^found 62 hexadecimal digits; expected the subkey of the tier, 64 hexadecimal digits: "anyhop l7 key" prints it$/,
  ],
  [
    'a subkey beside its file',
    { fields: `key: ${SUBKEY}\n^key_file: /nowhere/key` },
    'l7.key_file',
    /^found both key and key_file; expected one of the two$/,
  ],
  [
    'root for HAProxy',
    { fields: `key: ${SUBKEY}\nuser: ^root` },
    'l7.user',
    /^found root; expected an ordinary user/,
  ],
  ['a user that is none', { fields: `key: ${SUBKEY}\nuser: ^"ha proxy"` }, 'l7.user', /expected a user name/],
  [
    'a relative run directory',
    { fields: `key: ${SUBKEY}\nrun_dir: ^run` },
    'l7.run_dir',
    /^found "run"; expected an absolute path, 80 characters at most/,
  ],
  [
    'a run directory with an empty step',
    { fields: `key: ${SUBKEY}\nrun_dir: ^/run//l7` },
    'l7.run_dir',
    /of letters, digits and "\._-"$/,
  ],
  [
    'a run directory that is too long',
    { fields: `key: ${SUBKEY}\nrun_dir: ^/${'a'.repeat(80)}` },
    'l7.run_dir',
    /80 characters at most/,
  ],
  [
    'the port of agents for the health of the tier',
    { fields: `key: ${SUBKEY}\nhealth_port: ^9611` },
    'l7.health_port',
    /^found 9611, the port on which agents report \(agent\.report_port\); expected another one$/,
  ],
  [
    'too few connections',
    { fields: `key: ${SUBKEY}\nmax_connections: ^99` },
    'l7.max_connections',
    /100 to 1000000$/,
  ],
  ['no time to drain', { fields: `key: ${SUBKEY}\ndrain_deadline: ^0s` }, 'l7.drain_deadline', /1s to 24h$/],
  [
    'a log that is a relative path',
    { fields: `key: ${SUBKEY}\naccess_log: ^log/access` },
    'l7.access_log',
    /expected stdout, off, or the absolute path of a syslog socket, 107 characters at most$/,
  ],
  [
    'a thumbprint of another length',
    { fields: `key: ${SUBKEY}\nacme: {thumbprint: ^abc}` },
    'l7.acme.thumbprint',
    /^found "abc"; expected a JWK thumbprint, 43 characters: "anyhop l7 thumbprint" prints it$/,
  ],
  [
    'too many routes',
    {
      frontends: `    web:\n      services: [plain]\n      routes: ^[${Array.from({ length: 10_001 }, (_, i) => `{path: /${i}, to: shop}`).join(', ')}]\n`,
    },
    `${WEB}.routes`,
    /^found 10001 routes; expected 10000 at most$/,
  ],
  [
    'too many servers',
    {
      upstreams: `    shop:\n      servers: ^[${Array.from({ length: 4097 }, (_, i) => `{name: s${i}, address: 10.3.${i >> 8}.${i & 255}, port: 80}`).join(', ')}]\n`,
    },
    `${UP}.servers`,
    /^found 4097 servers; expected 4096 at most$/,
  ],
  [
    'too many upstreams',
    {
      upstreams: `    shop: &a {servers: [${SHOP}]}\n${Array.from({ length: 4096 }, (_, i) => `    u${i}: *a\n`).join('')}`,
    },
    'l7.upstreams',
    /^found 4097 upstreams; expected 4096 at most$/,
  ],
  [
    'too many frontends',
    {
      frontends: `    web: &a {services: [plain], routes: [{to: shop}]}\n${Array.from({ length: 64 }, (_, i) => `    f${i}: *a\n`).join('')}`,
    },
    'l7.frontends',
    /^found 65 frontends; expected 64 at most$/,
  ],
  [
    'no frontend',
    { frontends: '    ^{}\n' },
    'l7.frontends',
    /^found an empty mapping; expected at least one frontend$/,
  ],
  [
    'a missing key of sticky cookies',
    { fields: '', upstream: 'sticky: {cookie: SRV}' },
    'l7.key_file',
    /^missing, and sticky cookies need the same subkey on every proxy host; expected the path of its file: "anyhop l7 key" prints it$/,
  ],
];

for (const [group, cases] of Object.entries({
  services: SERVICES,
  frontends: FRONTENDS,
  headers: HEADERS,
  routes: ROUTES,
  upstreams: UPSTREAMS,
  servers: SERVERS,
  'the tier': TIER,
})) {
  describe(`config errors of l7 about ${group}`, () => {
    for (const [title, parts, field, message] of cases) {
      it(`point at ${title}`, () => {
        const { text, places } = unmark(l7Text(parts));
        const role = /\/nowhere|ca\.pem/.test(text) ? 'pools' : 'l7';
        const problems = problemsOf(text, role);
        const lines = problems
          .map((problem) => `${placeOf(problem)} ${problem.field}: ${problem.message}`)
          .join('\n');
        if (places.length > 0) assert.deepEqual([...new Set(problems.map(placeOf))], places, lines);
        const problem = problems.find(
          (candidate) => candidate.field === field && message.test(candidate.message),
        );
        assert.ok(problem, `no ${field}: ${message} in\n${lines}`);
        assert.ok(!lines.includes(SUBKEY.slice(0, 12)), 'the subkey shows');
      });
    }
  });
}

/** The sections `metrics` as the program uses them. */
import type { Endpoint } from '../endpoint.js';
import type { Secret } from '../secret.js';

export interface MetricsConfig {
  readonly listen: Endpoint;
  /** Undefined: plain HTTP. */
  readonly tls: MetricsTls | undefined;
  /** Undefined: nobody is asked for a password. */
  readonly login: MetricsLogin | undefined;
}

export interface MetricsTls {
  /** Certificate, chain and private key in PEM. */
  readonly certificate: Secret;
  /** Certificates in PEM of those who sign the certificates of clients; undefined: clients need none. */
  readonly authorities: Secret | undefined;
}

export interface MetricsLogin {
  readonly user: string;
  readonly password: Secret;
}

/** A section's secrets in clear, for the threads of this process only: what its listener answers with, and asks others with. */
export interface Credentials {
  readonly tls:
    | {
        /** Certificate, chain and private key in PEM. */
        readonly certificate: Uint8Array;
        /** Of those who sign the certificates of clients; undefined: clients need none. */
        readonly authorities: Uint8Array | undefined;
      }
    | undefined;
  readonly login: { readonly user: string; readonly password: Uint8Array } | undefined;
}

export function credentialsOf({ tls, login }: Pick<MetricsConfig, 'tls' | 'login'>): Credentials {
  return {
    tls: tls && { certificate: tls.certificate.reveal(), authorities: tls.authorities?.reveal() },
    login: login && { user: login.user, password: login.password.reveal() },
  };
}

export interface SiblingConfig {
  /** Its certificate is for this DNS name. */
  readonly name: string;
  readonly address: Endpoint;
}

/** Whether nobody but programs on this machine can ask. */
export function isLoopback({ address }: Endpoint): boolean {
  return address.family === 4 ? address.text.startsWith('127.') : address.text === '::1';
}

/** Whether those who ask over a network are known, and nobody on the way reads or changes what they get. */
export function isGuarded({ tls, login }: MetricsConfig): boolean {
  return tls !== undefined && (tls.authorities !== undefined || login !== undefined);
}

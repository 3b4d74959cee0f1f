/** Primes for table sizes, by trial division (at most about 400 divisions). */

export function isPrime(n: number): boolean {
  if (n < 4) return n > 1;
  if (n % 2 === 0) return false;
  for (let divisor = 3; divisor * divisor <= n; divisor += 2) {
    if (n % divisor === 0) return false;
  }
  return true;
}

/** The smallest prime that is `n` or above. */
export function nextPrime(n: number): number {
  let candidate = n;
  while (!isPrime(candidate)) candidate++;
  return candidate;
}

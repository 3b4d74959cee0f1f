/** Protocol numbers that the pipeline uses, under their names in the RFCs. A const enum: layout.gen.ts says why. */

export const enum P {
  ETHERNET_HEADER = 14,
  VLAN_TAG = 4,
  ETHERTYPE_IPV4 = 0x0800,
  ETHERTYPE_IPV6 = 0x86dd,
  /** 802.1Q customer tag and 802.1ad service tag. */
  ETHERTYPE_VLAN = 0x8100,
  ETHERTYPE_SERVICE_VLAN = 0x88a8,

  IPV4_HEADER = 20,
  IPV6_HEADER = 40,
  TCP_HEADER = 20,
  UDP_HEADER = 8,
  ICMP_HEADER = 8,
  GRE_HEADER = 4,
  GRE_KEY = 4,
  /** In the first GRE half-word: a key is present (RFC 2890), and it names alternates by their ids (second-chance-key.ts). */
  GRE_FLAG_KEY = 0x2000,
  GRE_FLAG_ALTERNATES = 0x0008,

  PROTOCOL_ICMP = 1,
  PROTOCOL_TCP = 6,
  PROTOCOL_UDP = 17,
  PROTOCOL_ICMPV6 = 58,
  /** IPv6 extension headers (RFC 8200 section 4, RFC 4302). */
  PROTOCOL_HOP_BY_HOP = 0,
  PROTOCOL_ROUTING = 43,
  PROTOCOL_FRAGMENT = 44,
  PROTOCOL_AUTHENTICATION = 51,
  PROTOCOL_DESTINATION = 60,

  /** IPv4 flags and fragment offset, one half-word (RFC 791 section 3.1). */
  IPV4_DONT_FRAGMENT = 0x4000,
  IPV4_FRAGMENT = 0x3fff, // more fragments, or an offset
  IPV4_OFFSET = 0x1fff,
  /** Offset (in units of 8 bytes, shifted left by 3) and more-fragments flag of an IPv6 fragment header. */
  IPV6_OFFSET = 0xfff8,
  IPV6_FRAGMENT = 0xfff9,

  /** RFC 9293 section 3.1. */
  TCP_SYN = 0x02,
  TCP_RST = 0x04,
  TCP_ACK = 0x10,
  TCP_ECE = 0x40,
  TCP_CWR = 0x80,
  TCP_OPTION_END = 0,
  TCP_OPTION_NOP = 1,
  TCP_OPTION_MSS = 2,
  /** RFC 7323 (window scale, timestamps), RFC 2018, RFC 2385, RFC 5925. */
  TCP_OPTION_WSCALE = 3,
  TCP_OPTION_SACK = 4,
  TCP_OPTION_TIMESTAMPS = 8,
  TCP_OPTION_MD5 = 19,
  TCP_OPTION_AO = 29,

  /** RFC 792. */
  ICMP_ECHO_REPLY = 0,
  ICMP_UNREACHABLE = 3,
  ICMP_ECHO_REQUEST = 8,
  ICMP_TIME_EXCEEDED = 11,
  ICMP_PARAMETER_PROBLEM = 12,
  ICMP_FRAGMENTATION_NEEDED = 4, // code of ICMP_UNREACHABLE, RFC 1191
  /** RFC 4443: errors are the types 1 to 4. */
  ICMPV6_UNREACHABLE = 1,
  ICMPV6_TOO_BIG = 2,
  ICMPV6_PARAMETER_PROBLEM = 4,
  ICMPV6_ECHO_REQUEST = 128,
  ICMPV6_ECHO_REPLY = 129,
  /** RFC 4861: neighbour discovery is the types 133 to 137, all sent with hop limit 255. */
  ICMPV6_ROUTER_SOLICITATION = 133,
  ICMPV6_REDIRECT = 137,
  HOP_LIMIT_MAX = 255,

  /** TTL and hop limit of packets that the node makes. */
  NODE_TTL = 64,
}

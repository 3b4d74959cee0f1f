/** Numbers of the protocols that the pipeline meets, by their names in the RFCs. */

export const ETHERNET_HEADER = 14;
export const VLAN_TAG = 4;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
/** 802.1Q customer tag and 802.1ad service tag. */
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_SERVICE_VLAN = 0x88a8;
export const VLAN_TAGS_MAX = 2;

export const IPV4_HEADER = 20;
export const IPV6_HEADER = 40;
export const TCP_HEADER = 20;
export const UDP_HEADER = 8;
export const ICMP_HEADER = 8;
export const GRE_HEADER = 4;
export const GRE_KEY = 4;
/** RFC 2890: the key-present bit of the first GRE half-word. */
export const GRE_FLAG_KEY = 0x2000;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;
/** IPv6 extension headers (RFC 8200 section 4, RFC 4302). */
export const PROTOCOL_HOP_BY_HOP = 0;
export const PROTOCOL_ROUTING = 43;
export const PROTOCOL_FRAGMENT = 44;
export const PROTOCOL_AUTHENTICATION = 51;
export const PROTOCOL_DESTINATION = 60;

/** IPv4 flags and fragment offset, one half-word (RFC 791 section 3.1). */
export const IPV4_DONT_FRAGMENT = 0x4000;
export const IPV4_FRAGMENT = 0x3fff; // more fragments, or an offset
export const IPV4_OFFSET = 0x1fff;
/** Offset (in units of 8 bytes, shifted left by 3) and more-fragments flag of an IPv6 fragment header. */
export const IPV6_OFFSET = 0xfff8;
export const IPV6_FRAGMENT = 0xfff9;

/** RFC 792. */
export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETER_PROBLEM = 12;
export const ICMP_FRAGMENTATION_NEEDED = 4; // code of ICMP_UNREACHABLE, RFC 1191
/** RFC 4443: errors are the types 1 to 4. */
export const ICMPV6_UNREACHABLE = 1;
export const ICMPV6_TOO_BIG = 2;
export const ICMPV6_PARAMETER_PROBLEM = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;

/** TTL and hop limit of packets that the node itself makes. */
export const NODE_TTL = 64;

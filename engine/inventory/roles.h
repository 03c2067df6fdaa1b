// What each port is for, as far as the machine itself tells.
#pragma once

#include "engine/inventory/node.h"

namespace netsense::inventory {

// Sets role and reason of every port, by the first rule that fits:
//   management  carries the default route; attached by USB; carries less than a tenth of what the fastest port does
//   compute     on a GPU's PCIe switch (PIX, PXB); a fabric made for computing (InfiniBand, EFA, Slingshot, Omni-Path)
//   storage     elsewhere, on a machine with GPUs whose place is known
//   compute     has an RDMA device, on a machine without GPUs, or where nobody knows what is near, and without a
//               fabric made for computing
//   storage     has an RDMA device, beside a fabric made for computing
// Loopback and virtual devices, virtual functions, Wi-Fi without the default route, and ports that fit none stay
// without a role. A bond's members have the bond's.
void AssignRoles(Node* node);

}  // namespace netsense::inventory

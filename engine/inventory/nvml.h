// What only NVIDIA's driver knows of its GPUs. Loaded at run time: nothing is linked.
#pragma once

#include <map>
#include <string>

#include "engine/inventory/node.h"

namespace netsense::inventory {

struct NvmlFacts {
  struct OfGpu {
    std::string model;
    std::string nvlink_domain;  // empty = none
  };
  std::map<std::string, OfGpu> gpus;  // by PCI address
  std::string problem;                // why nothing is known, in words; empty = none
};

// Loads the library, asks, and unloads it. May take a second where the driver has to wake the GPUs.
NvmlFacts ReadNvml(const std::string& library = "libnvidia-ml.so.1");

// Fills models and NVLink domains; what is not known gets a note.
void AddNvmlFacts(const NvmlFacts& facts, Node* node);

}  // namespace netsense::inventory

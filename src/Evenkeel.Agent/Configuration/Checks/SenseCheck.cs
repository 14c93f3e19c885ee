using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>What the parts say about each other: each check adds what it finds, none stops the others.</summary>
internal static class SenseCheck
{
    public static void All(YamlMap file, ClusterSpec spec, Findings findings)
    {
    }
}

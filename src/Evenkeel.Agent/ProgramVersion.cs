using System.Reflection;

namespace Evenkeel.Agent;

/// <summary>This build's version.</summary>
public static class ProgramVersion
{
    /// <summary>Such as <c>0.1.0</c>; a build from a commit carries its hash behind a plus.</summary>
    public static string Current { get; } =
        typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}

using System.Reflection;

namespace Evenkeel.Cli;

internal static class VersionText
{
    /// <summary>Such as <c>0.1.0</c>; a build from a commit carries its hash behind a plus.</summary>
    public static string Current =>
        typeof(VersionText).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}

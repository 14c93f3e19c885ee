using System.Xml.Linq;
using Xunit;

namespace Evenkeel.Tests.Architecture;

/// <summary>Who may know whom, read from the projects themselves: what this forbids, no review has to find.</summary>
public sealed class ReferenceTests
{
    public static TheoryData<string, string[]> Allowed => new()
    {
        { "Core", [] },
        { "Raid", [] },
        { "Backup", [] },
        { "Guard", ["Core"] },
        { "PublicConnection", ["Core"] },
        { "PrivateConnection", ["Core"] },
        { "Services", ["Core"] },
        { "Agent", ["Core", "PublicConnection", "PrivateConnection", "Services", "Backup", "Raid"] },
        { "Cli", ["Core", "PublicConnection", "PrivateConnection", "Services", "Agent", "Backup", "Raid"] },
    };

    [Theory, MemberData(nameof(Allowed))]
    public void Project_References_OnlyWhatTheArchitectureAllows(string project, string[] allowed)
    {
        var file = Path.Combine(Repository.Root, "src", $"Evenkeel.{project}", $"Evenkeel.{project}.csproj");
        var references = XDocument.Load(file).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value)["Evenkeel.".Length..]);
        Assert.Empty(references.Except(allowed));
    }

    [Fact]
    public void EveryProject_OfTheSources_HasItsRule()
    {
        var projects = Directory.GetDirectories(Path.Combine(Repository.Root, "src")).Select(path => Path.GetFileName(path)["Evenkeel.".Length..]).Order(StringComparer.Ordinal);
        Assert.Equal(projects, Allowed.Select(row => row.Data.Item1).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Core_Uses_NoPackage() => Assert.DoesNotContain(
        XDocument.Load(Path.Combine(Repository.Root, "src", "Evenkeel.Core", "Evenkeel.Core.csproj")).Descendants("PackageReference"),
        package => (string?)package.Attribute("PrivateAssets") != "all"); // analyzers leave nothing in it
}

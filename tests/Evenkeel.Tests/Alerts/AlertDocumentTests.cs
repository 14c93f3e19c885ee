using System.Text.RegularExpressions;

using Xunit;

namespace Evenkeel.Tests.Alerts;

/// <summary>The manual has a line for each alert that there is, and for no other.</summary>
public sealed partial class AlertDocumentTests
{
    [Fact]
    public void Table_NamesEveryAlert()
    {
        var code = string.Concat(Directory.GetFiles(Path.Combine(Repository.Root, "src", "Evenkeel.Agent", "Control"), "*Findings.cs").Order(StringComparer.Ordinal).Select(File.ReadAllText));
        var manual = File.ReadAllText(Path.Combine(Repository.Root, "docs", "operations", "alerts.md"));
        var found = Code().Matches(code).Select(match => match.Groups[1].Value).Distinct().Order(StringComparer.Ordinal).ToList();
        Assert.True(found.Count > 25);
        Assert.Equal(found, Row().Matches(manual).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal));
    }

    [GeneratedRegex(@"new\((?:[^,()]*\? Concern\.\w+ : )?Concern\.\w+,\s*""([a-z-]+)""")]
    private static partial Regex Code();

    [GeneratedRegex(@"^\| `([a-z-]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}

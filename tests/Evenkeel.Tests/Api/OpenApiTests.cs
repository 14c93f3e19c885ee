using System.Text.Json;
using System.Text.RegularExpressions;
using Evenkeel.Agent.Api;
using Evenkeel.Agent.Control;
using Microsoft.OpenApi;
using Microsoft.OpenApi.Reader;
using Xunit;

namespace Evenkeel.Tests.Api;

/// <summary>The API's description: another program's reader takes it, and it says what the program does.</summary>
public sealed class OpenApiTests
{
    [Fact]
    public void Document_AsPublished_IsCurrent() =>
        Assert.True(File.ReadAllText(Path.Combine(Repository.Root, "docs", "openapi.json")) == OpenApiText.Text, "docs/openapi.json is old: ./evenkeel api openapi > docs/openapi.json");

    [Fact]
    public void Document_IsTakenByAnotherReaderWithoutAnError()
    {
        var read = Microsoft.OpenApi.OpenApiDocument.Parse(OpenApiText.Text, "json");
        Assert.Empty(read.Diagnostic!.Errors.Select(error => error.ToString()));
        Assert.Empty(read.Diagnostic.Warnings.Select(warning => warning.ToString()));
        Assert.Equal(ApiRoutes.All.Count, read.Document!.Paths.Sum(path => path.Value.Operations!.Count));
        Assert.All(read.Document.Paths.SelectMany(path => path.Value.Operations!.Values), operation => Assert.NotEmpty(operation.Responses!));
    }

    [Fact]
    public void Document_EveryReferenceLeadsSomewhere()
    {
        var root = JsonDocument.Parse(OpenApiText.Text).RootElement;
        var schemas = root.GetProperty("components").GetProperty("schemas");
        var references = Regex.Matches(OpenApiText.Text, "\"\\$ref\": \"([^\"]+)\"").Select(match => match.Groups[1].Value).Distinct().ToList();
        Assert.NotEmpty(references);
        Assert.All(references, reference => Assert.True(reference.StartsWith("#/components/schemas/", StringComparison.Ordinal) && schemas.TryGetProperty(reference["#/components/schemas/".Length..], out _), reference));
        // What a converter writes as text is text, not 'anything'.
        Assert.Equal("string", schemas.GetProperty("Hello").GetProperty("properties").GetProperty("node").GetProperty("type").GetString());
    }

    [Fact]
    public void Routes_EveryOneOfTheContract_HasARoleAndAnAnswer()
    {
        var contract = typeof(ControlRoutes).GetFields().Select(field => (string)field.GetRawConstantValue()!).Where(value => value.StartsWith('/')).Order();
        Assert.Equal(contract, ApiRoutes.All.Select(route => route.Path).Distinct().Order());
        Assert.Equal(ApiRoutes.All.Count, ApiRoutes.All.DistinctBy(route => (route.Method, route.Path)).Count());
        // What changes something is no viewer's; a plan changes nothing.
        Assert.All(ApiRoutes.All.Where(route => route.Method == "POST" && route.Path != ControlRoutes.Plan), route => Assert.True(route.Role > ApiRole.Viewer, route.Path));
    }
}

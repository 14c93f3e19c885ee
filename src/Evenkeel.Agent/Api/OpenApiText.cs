namespace Evenkeel.Agent.Api;

/// <summary>The control API's description, OpenAPI 3.1 as JSON.</summary>
public static class OpenApiText
{
    public static string Text => OpenApiDocument.Text;
}

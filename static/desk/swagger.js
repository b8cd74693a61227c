// Swagger UI for the OpenAPI description, from our own files.
addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("swagger-ui");
  SwaggerUIBundle({
    url: place.dataset.description, domNode: place, deepLinking: true, docExpansion: "none", defaultModelsExpandDepth: 0, validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset], layout: "BaseLayout",
  });
});

// Shows the document of this service. The validator badge of Swagger UI would be loaded from elsewhere.
"use strict";

const page = document.getElementById("page");

SwaggerUIBundle({
  domNode: page,
  url: page.dataset.document,
  deepLinking: true,
  validatorUrl: null,
});
